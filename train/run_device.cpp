#include "train/run_device.h"

#include <nlohmann/json.hpp>

#include "kernels/attention_body.h"

namespace slotwise {

void add_device_settings(nlohmann::json& settings, Device device, DType product_type) {
  if (!device.is_cpu()) settings["device"] = std::string(name_of(device.type));
  if (product_type != DType::f32) settings["precision"] = std::string(name_of(product_type));
  if (device.is_cuda()) {
    settings["attention"] = std::string(name_of(kernels::usual_attention_body(product_type)));
  }
}

}  // namespace slotwise
