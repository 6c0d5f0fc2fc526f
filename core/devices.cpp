#include "core/devices.h"

#include <unistd.h>

#include <charconv>

#include "core/devices_bodies.h"
#include "core/error.h"

namespace slotwise {
namespace {

// Empty when the GPU can be used, else why not, as the end of a sentence.
std::string fault_of(int index) {
  const int count = cuda::device_count();
  if (count == 0) return fmt::format("found none ({})", cuda::absence());
  if (index >= count) return fmt::format("found {}, numbered from 0", count);
  return cuda::device_facts(index).fault;
}

int index_of(const std::string& text) {
  constexpr std::string_view kPrefix = "cuda:";
  int index = -1;
  const char* end = text.data() + text.size();
  const auto [stop, error] = std::from_chars(text.data() + kPrefix.size(), end, index);
  if (error != std::errc() || stop != end || index < 0) {
    user_error("--device cuda:N takes the number of a GPU, counted from 0, got '{}'", text);
  }
  return index;
}

}  // namespace

Device find_device(const std::string& text) {
  if (text == "cpu") return {};
  if (text == "emulated") return {DeviceType::emulated};
  if (text == "auto") return {fault_of(0).empty() ? DeviceType::cuda : DeviceType::cpu};
  if (text != "cuda" && !text.starts_with("cuda:")) {
    user_error("--device must be auto, cpu, cuda or cuda:N, got '{}'", text);
  }
  const Device device{DeviceType::cuda, text == "cuda" ? 0 : index_of(text)};
  if (const std::string fault = fault_of(device.index); !fault.empty()) {
    user_error("--device {} expected a GPU, {}; use --device cpu, or auto", text, fault);
  }
  return device;
}

std::string describe(Device device) {
  if (!device.is_cuda()) return std::string(name_of(device.type));
  const cuda::DeviceFacts facts = cuda::device_facts(device.index);
  return fmt::format("cuda:{} ({}, {} GiB)", device.index, facts.name, facts.memory_bytes >> 30);
}

std::size_t memory_bytes(Device device) {
  if (device.is_cuda()) return cuda::device_facts(device.index).memory_bytes;
  return static_cast<std::size_t>(sysconf(_SC_PHYS_PAGES)) *
         static_cast<std::size_t>(sysconf(_SC_PAGE_SIZE));
}

}  // namespace slotwise
