// Tensor: a handle (storage + offset + shape + dtype + device) on contiguous row-major memory.
// Copying it is cheap and shares the storage; clone() copies the elements. No autograd inside.
#pragma once

#include <algorithm>
#include <cstddef>
#include <memory>
#include <span>
#include <vector>

#include "core/dtype.h"
#include "core/error.h"
#include "core/shape.h"

namespace slotwise {

class Storage;

class Tensor {
 public:
  Tensor() = default;

  // Elements are not initialised. `name` is a string literal that names the allocation in reports.
  static Tensor empty(const Shape& shape, DType dtype = DType::f32, Device device = {},
                      const char* name = "tensor");
  static Tensor zeros(const Shape& shape, DType dtype = DType::f32, Device device = {},
                      const char* name = "tensor");
  template <class T>
  static Tensor from(const std::vector<T>& values, const Shape& shape, Device device = {},
                     const char* name = "tensor");
  static Tensor empty_like(const Tensor& other, const char* name = "tensor") {
    return empty(other.shape(), other.dtype(), other.device(), name);
  }

  bool defined() const { return storage_ != nullptr; }
  const Shape& shape() const { return shape_; }
  std::int64_t size(int dimension) const { return shape_[dimension]; }
  std::int64_t elements() const { return elements_; }
  std::size_t bytes() const { return static_cast<std::size_t>(elements_) * size_of(dtype_); }
  DType dtype() const { return dtype_; }
  Device device() const;

  // Pointer to the first element; throws if T is not the dtype, or if the memory belongs to a
  // device that the running code may not touch (core/device_scope.h).
  template <class T>
  T* data() const {
    SLOTWISE_CHECK(defined() && DTypeOf<T>::value == dtype_, "[tensor] expected {} data, got {}",
                   name_of(DTypeOf<T>::value), defined() ? name_of(dtype_) : "no tensor");
    return static_cast<T*>(raw());
  }
  void* raw() const;
  // All elements; as data().
  template <class T>
  std::span<T> span() const {
    return {data<T>(), static_cast<std::size_t>(elements_)};
  }
  // A copy of all elements on the host.
  template <class T>
  std::vector<T> to_vector() const;

  Tensor view(const Shape& shape) const;  // same elements, other shape
  // Rows [begin, end) of the first dimension, sharing the storage.
  Tensor slice(std::int64_t begin, std::int64_t end) const;
  Tensor clone(const char* name = "tensor") const;
  Tensor to(Device device, const char* name = "tensor") const;  // itself when it is there already
  void copy_from(const Tensor& source) const;                   // same shape and dtype, any device
  void zero() const;
  // True when no other handle can see a change of the elements.
  bool unique() const;
  bool same_storage(const Tensor& other) const { return storage_ == other.storage_; }

 private:
  void* address() const;

  std::shared_ptr<Storage> storage_;
  std::int64_t offset_ = 0;  // in elements
  std::int64_t elements_ = 0;
  Shape shape_;
  DType dtype_ = DType::f32;
};

// A tensor that a kernel writes: += when `accumulate`, = otherwise. Undefined: not wanted.
struct Sink {
  Tensor tensor;
  bool accumulate = false;
  explicit operator bool() const { return tensor.defined(); }
};

template <class T>
Tensor Tensor::from(const std::vector<T>& values, const Shape& shape, Device device,
                    const char* name) {
  Tensor host = empty(shape, DTypeOf<T>::value, {}, name);
  SLOTWISE_CHECK(static_cast<std::int64_t>(values.size()) == host.elements(),
                 "[tensor] {} values do not fill {}", values.size(), shape.text());
  std::copy(values.begin(), values.end(), host.data<T>());
  return host.to(device, name);
}

template <class T>
std::vector<T> Tensor::to_vector() const {
  const Tensor host = to(Device{});
  const T* first = host.data<T>();
  return std::vector<T>(first, first + elements_);
}

}  // namespace slotwise
