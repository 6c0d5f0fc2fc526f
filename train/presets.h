// The TOML files of train/presets/, compiled in so that a program needs no path to find them.
#pragma once

#include <string>
#include <vector>

namespace slotwise {

struct Preset {
  std::string name;
  std::string toml;
};
const std::vector<Preset>& presets();

}  // namespace slotwise
