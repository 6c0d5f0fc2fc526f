// Element types and devices. bf16 is a storage type: arithmetic is fp32.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>

#include "core/bfloat16.h"

namespace slotwise {

enum class DType : std::uint8_t { f32, bf16, i32, i64, u8 };

std::size_t size_of(DType dtype);
std::string_view name_of(DType dtype);

template <class T>
struct DTypeOf;
template <>
struct DTypeOf<float> {
  static constexpr DType value = DType::f32;
};
template <>
struct DTypeOf<BFloat16> {
  static constexpr DType value = DType::bf16;
};
template <>
struct DTypeOf<std::int32_t> {
  static constexpr DType value = DType::i32;
};
template <>
struct DTypeOf<std::int64_t> {
  static constexpr DType value = DType::i64;
};
template <>
struct DTypeOf<std::uint8_t> {
  static constexpr DType value = DType::u8;
};

// `emulated` is a device for tests: its memory is the host's, but host code may not touch it
// (core/device_scope.h), and ops run their CPU bodies on it. What works there keeps host and device
// apart as a GPU asks for, and gives the CPU's bits.
enum class DeviceType : std::uint8_t { cpu, cuda, emulated };

struct Device {
  DeviceType type = DeviceType::cpu;
  int index = 0;
  bool operator==(const Device&) const = default;
  bool is_cpu() const { return type == DeviceType::cpu; }
  bool is_cuda() const { return type == DeviceType::cuda; }
};

std::string_view name_of(DeviceType type);

}  // namespace slotwise
