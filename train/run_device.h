// What run.json says of the device, the precision and the body of attention, alike in every run.
#pragma once

#include <nlohmann/json_fwd.hpp>

#include "core/dtype.h"

namespace slotwise {

// Adds "device" unless it is the CPU, "precision" unless products are f32, and on CUDA "attention",
// the body that calls usually get. A plain run on the CPU stays as it is, so that runs begun before
// there was a choice can go on.
void add_device_settings(nlohmann::json& settings, Device device, DType product_type);

}  // namespace slotwise
