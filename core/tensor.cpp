#include "core/tensor.h"

#include "core/device_memory.h"
#include "core/device_scope.h"
#include "core/memory_pool.h"

namespace slotwise {

class Storage {
 public:
  Storage(Device device, std::size_t bytes, const char* name)
      : device_(device),
        bytes_(bytes),
        name_(name),
        block_(MemoryPool::of(device).borrow(bytes, name)) {}
  ~Storage() { MemoryPool::of(device_).give_back(block_, bytes_, name_); }
  Storage(const Storage&) = delete;
  Storage& operator=(const Storage&) = delete;

  Device device() const { return device_; }
  void* block() const { return block_; }

 private:
  Device device_;
  std::size_t bytes_;
  const char* name_;
  void* block_;
};

Tensor Tensor::empty(const Shape& shape, DType dtype, Device device, const char* name) {
  Tensor out;
  out.shape_ = shape;
  out.dtype_ = dtype;
  out.elements_ = shape.elements();
  out.storage_ = std::make_shared<Storage>(device, out.bytes(), name);
  return out;
}

Tensor Tensor::zeros(const Shape& shape, DType dtype, Device device, const char* name) {
  Tensor out = empty(shape, dtype, device, name);
  out.zero();
  return out;
}

Device Tensor::device() const {
  SLOTWISE_CHECK(defined(), "[tensor] device() of an undefined tensor");
  return storage_->device();
}

void* Tensor::raw() const {
  SLOTWISE_CHECK(defined(), "[tensor] data of an undefined tensor");
  const Device place = storage_->device(), allowed = DeviceScope::current();
  if (place == allowed) return address();
  if (allowed.is_cpu()) {
    fail(
        "[tensor] host code asked for the memory of a tensor {} on {}; copy it with to({{}}) first",
        shape_.text(), name_of(place.type));
  }
  fail(
      "[tensor] an op on {} got a tensor {} that lies on {}; all of its tensors must be on one "
      "device",
      name_of(allowed.type), shape_.text(), name_of(place.type));
}

void* Tensor::address() const {
  return static_cast<char*>(storage_->block()) +
         static_cast<std::size_t>(offset_) * size_of(dtype_);
}

Tensor Tensor::view(const Shape& shape) const {
  SLOTWISE_CHECK(shape.elements() == elements_, "[tensor] cannot view {} as {}", shape_.text(),
                 shape.text());
  Tensor out = *this;
  out.shape_ = shape;
  return out;
}

Tensor Tensor::slice(std::int64_t begin, std::int64_t end) const {
  SLOTWISE_CHECK(shape_.dimensions() > 0 && begin >= 0 && begin <= end && end <= shape_[0],
                 "[tensor] no rows {}..{} in {}", begin, end, shape_.text());
  const std::int64_t row = shape_[0] == 0 ? 0 : elements_ / shape_[0];
  Tensor out = *this;
  out.shape_ = shape_.with(0, end - begin);
  out.elements_ = (end - begin) * row;
  out.offset_ += begin * row;
  return out;
}

Tensor Tensor::clone(const char* name) const {
  Tensor out = empty(shape_, dtype_, device(), name);
  out.copy_from(*this);
  return out;
}

Tensor Tensor::to(Device device, const char* name) const {
  if (this->device() == device) return *this;
  Tensor out = empty(shape_, dtype_, device, name);
  out.copy_from(*this);
  return out;
}

void Tensor::copy_from(const Tensor& source) const {
  SLOTWISE_CHECK(source.shape_ == shape_ && source.dtype_ == dtype_,
                 "[tensor] cannot copy {} {} into {} {}", name_of(source.dtype_),
                 source.shape_.text(), name_of(dtype_), shape_.text());
  copy_bytes(address(), device(), source.address(), source.device(), bytes());
}

void Tensor::zero() const {
  zero_bytes(device(), address(), bytes());
}

bool Tensor::unique() const {
  return storage_.use_count() == 1;
}

}  // namespace slotwise
