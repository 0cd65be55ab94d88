// Needed by nccl.h, which only names the type.
#pragma once
