#include "core/shape.h"

#include <algorithm>

#include "core/error.h"

namespace slotwise {

Shape::Shape(std::initializer_list<std::int64_t> sizes) {
  for (std::int64_t size : sizes) append(size);
}

int Shape::resolve(int index) const {
  const int resolved = index < 0 ? index + count_ : index;
  SLOTWISE_CHECK(resolved >= 0 && resolved < count_, "[shape] no dimension {} in {}", index,
                 text());
  return resolved;
}

std::int64_t Shape::operator[](int index) const {
  return sizes_[static_cast<std::size_t>(resolve(index))];
}

std::int64_t Shape::elements() const {
  std::int64_t product = 1;
  for (int i = 0; i < count_; ++i) product *= sizes_[static_cast<std::size_t>(i)];
  return product;
}

std::int64_t Shape::rows() const {
  std::int64_t product = 1;
  for (int i = 0; i + 1 < count_; ++i) product *= sizes_[static_cast<std::size_t>(i)];
  return product;
}

void Shape::append(std::int64_t size) {
  SLOTWISE_CHECK(count_ < kMaxDimensions, "[shape] more than {} dimensions", kMaxDimensions);
  SLOTWISE_CHECK(size >= 0, "[shape] negative size {}", size);
  sizes_[static_cast<std::size_t>(count_++)] = size;
}

Shape Shape::with(int index, std::int64_t size) const {
  Shape changed = *this;
  changed.sizes_[static_cast<std::size_t>(resolve(index))] = size;
  return changed;
}

std::string Shape::text() const {
  std::string out = "[";
  for (int i = 0; i < count_; ++i) {
    if (i > 0) out += ", ";
    out += std::to_string(sizes_[static_cast<std::size_t>(i)]);
  }
  return out + "]";
}

bool Shape::operator==(const Shape& other) const {
  return count_ == other.count_ &&
         std::equal(sizes_.begin(), sizes_.begin() + count_, other.sizes_.begin());
}

}  // namespace slotwise
