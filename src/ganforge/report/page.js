
"use strict";

// ---------------------------------------------------------------- light or dark
const root = document.documentElement;
document.getElementById("theme").addEventListener("click", () => {
  const dark = root.dataset.theme
    ? root.dataset.theme === "dark"
    : matchMedia("(prefers-color-scheme: dark)").matches;
  root.dataset.theme = dark ? "light" : "dark";
});

// ---------------------------------------------------------------- samples
const slider = document.getElementById("grid-slider");
if (slider) {
  const frames = [...document.querySelectorAll("img[data-caption]")];
  const caption = document.getElementById("grid-caption");
  const play = document.getElementById("grid-play");
  const show = () => {
    const index = Number(slider.value);
    frames.forEach((frame, i) => { frame.hidden = i !== index; });
    caption.textContent = frames[index].dataset.caption;
    slider.setAttribute("aria-valuetext", caption.textContent);
  };
  slider.value = slider.max; // a reloaded page may remember another position
  slider.addEventListener("input", show);
  let timer = null;
  const stop = () => { clearInterval(timer); timer = null; play.textContent = "Play"; };
  play.addEventListener("click", () => {
    if (timer) { stop(); return; }
    if (slider.value === slider.max) { slider.value = 0; show(); }
    play.textContent = "Stop";
    timer = setInterval(() => {
      slider.value = Number(slider.value) + 1;
      show();
      if (slider.value === slider.max) stop();
    }, 500);
  });
}

// ---------------------------------------------------------------- charts
const number = (value) => {
  const size = Math.abs(value);
  if (size >= 1e4 && Number.isInteger(value)) return value.toLocaleString("en");
  return String(Number(value.toPrecision(5)));
};

// Index of the point that is nearest to x; xs ascend.
const nearest = (xs, x) => {
  let low = 0, high = xs.length - 1;
  while (high - low > 1) {
    const middle = (low + high) >> 1;
    if (xs[middle] <= x) low = middle; else high = middle;
  }
  return Math.abs(xs[low] - x) <= Math.abs(xs[high] - x) ? low : high;
};

for (const chart of document.querySelectorAll("figure.chart")) {
  const values = chart.querySelector(".values");
  if (!values) continue;
  const { series, x: axis } = JSON.parse(values.textContent);
  const positions = [...new Set(series.flatMap((one) => one.x))].sort((a, b) => a - b);
  const tip = chart.querySelector(".tip");
  const pictures = [...chart.querySelectorAll("svg")];
  const buttons = [...chart.querySelectorAll(".legend button")];
  let index = positions.length - 1;

  const hide = () => {
    tip.hidden = true;
    for (const picture of pictures) picture.querySelector(".cursor").setAttribute("hidden", "");
  };
  const read = (picture) => {
    const { left, right, low, high } = picture.dataset;
    const x = positions[index];
    const at = Number(left) + (x - low) / (high - low) * (right - left);
    const cursor = picture.querySelector(".cursor");
    cursor.setAttribute("x1", at);
    cursor.setAttribute("x2", at);
    cursor.removeAttribute("hidden");
    const lines = series
      .filter((one, i) => one.x.length && buttons[i].getAttribute("aria-pressed") === "true")
      .map((one) => {
        const near = nearest(one.x, x);
        const elsewhere = one.x[near] === x ? "" : ` (at ${number(one.x[near])})`;
        return `${one.name}: ${number(one.y[near])}${elsewhere}`;
      });
    tip.textContent = [`${axis}: ${number(x)}`, ...lines].join("\n");
    tip.hidden = false;
    const width = picture.viewBox.baseVal.width;
    const pixel = at / width * picture.clientWidth;
    const flipped = at > width / 2;
    tip.style.left = flipped ? "auto" : `${pixel + 10}px`;
    tip.style.right = flipped ? `${picture.clientWidth - pixel + 10}px` : "auto";
    tip.style.top = "8px";
  };
  for (const picture of pictures) {
    picture.addEventListener("pointermove", (event) => {
      const box = picture.getBoundingClientRect();
      const { left, right, low, high } = picture.dataset;
      const at = (event.clientX - box.left) / box.width * picture.viewBox.baseVal.width;
      const share = (at - left) / (right - left);
      index = nearest(positions, Number(low) + share * (high - low));
      read(picture);
    });
    picture.addEventListener("pointerleave", hide);
    picture.addEventListener("blur", hide);
    picture.addEventListener("keydown", (event) => {
      const moves = { ArrowLeft: index - 1, ArrowRight: index + 1, Home: 0, End: positions.length - 1 };
      if (event.key === "Escape") hide();
      if (!(event.key in moves)) return;
      event.preventDefault();
      index = Math.min(Math.max(moves[event.key], 0), positions.length - 1);
      read(picture);
    });
  }
  buttons.forEach((button, i) => button.addEventListener("click", () => {
    const on = button.getAttribute("aria-pressed") !== "true";
    button.setAttribute("aria-pressed", String(on));
    for (const picture of pictures) {
      const curve = [...picture.querySelectorAll(".series")]
        .find((one) => one.dataset.series === button.dataset.series);
      if (curve) curve.classList.toggle("off", !on);
    }
  }));
  const log = chart.querySelector("input.log");
  if (log) {
    log.checked = false; // a reloaded page may remember another state
    log.addEventListener("change", () => {
      hide();
      for (const picture of pictures) {
        picture.toggleAttribute("hidden", picture.classList.contains("log") !== log.checked);
      }
    });
  }
}

// ---------------------------------------------------------------- tables
const weight = (cell) => {
  const text = cell.textContent.trim();
  const value = parseFloat(text.replaceAll(",", ""));
  return /^[-+]?[\d.]/.test(text) && !Number.isNaN(value) ? value : null;
};

for (const table of document.querySelectorAll("table.sortable")) {
  const body = table.tBodies[0];
  const heads = [...table.tHead.rows[0].cells];
  heads.forEach((head, column) => head.querySelector("button").addEventListener("click", () => {
    const up = head.getAttribute("aria-sort") !== "ascending";
    for (const other of heads) other.removeAttribute("aria-sort");
    head.setAttribute("aria-sort", up ? "ascending" : "descending");
    const rows = [...body.rows].map((row) => ({ row, cell: row.cells[column] }));
    rows.sort((a, b) => {
      const [x, y] = [weight(a.cell), weight(b.cell)];
      if (x === null && y === null) {
        return a.cell.textContent.localeCompare(b.cell.textContent) * (up ? 1 : -1);
      }
      if (x === null || y === null) return x === null ? 1 : -1; // what has no number comes last
      return (x - y) * (up ? 1 : -1);
    });
    body.append(...rows.map((one) => one.row));
  }));
}

// ---------------------------------------------------------------- configuration
const search = document.getElementById("config-search");
if (search) {
  const groups = [...document.querySelectorAll(".config details")];
  const matches = document.getElementById("config-found");
  search.value = "";
  search.addEventListener("input", () => {
    const words = search.value.toLowerCase().split(/\s+/).filter(Boolean);
    let count = 0;
    for (const group of groups) {
      let here = 0;
      for (const row of group.querySelectorAll("tr")) {
        const text = row.textContent.toLowerCase();
        const fits = words.every((word) => text.includes(word));
        row.hidden = !fits;
        here += Number(fits);
      }
      group.hidden = here === 0;
      group.open = words.length > 0 && here > 0;
      count += here;
    }
    matches.textContent = words.length ? `${count} found` : "";
  });
}
