"""`python train.py model=... data=...`: the same as `ganforge train`."""

from ganforge.start import main

if __name__ == "__main__":
    main(verb="train")
