// A world, a model and a background so small that a program takes hundredths of a second: made once
// for all tests of the programs. Tests read these folders, or copy them first.
#pragma once

#include <filesystem>
#include <string>

#include "tests/train/program_runner.h"

namespace slotwise::testing {

struct TinyWorld {
  std::filesystem::path settings;    // a settings file
  std::filesystem::path data;        // dataset folder
  std::filesystem::path checkpoint;  // pretrained for 20 steps, with a background

  Words pretrain(const std::filesystem::path& out) const;
  Words finetune(const std::filesystem::path& out, const std::string& method) const;
};

const TinyWorld& tiny_world();

}  // namespace slotwise::testing
