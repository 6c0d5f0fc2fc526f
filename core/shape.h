// Shape of a contiguous row-major tensor: up to kMaxDimensions sizes, kept inline.
#pragma once

#include <array>
#include <cstdint>
#include <initializer_list>
#include <string>

namespace slotwise {

class Shape {
 public:
  static constexpr int kMaxDimensions = 6;

  Shape() = default;
  Shape(std::initializer_list<std::int64_t> sizes);

  int dimensions() const { return count_; }
  // Negative indices count from the end.
  std::int64_t operator[](int index) const;
  std::int64_t elements() const;
  // Product of all sizes but the last: the row count when a tensor is read as rows of the last
  // size.
  std::int64_t rows() const;
  std::int64_t last() const { return (*this)[-1]; }
  void append(std::int64_t size);
  Shape with(int index, std::int64_t size) const;
  std::string text() const;  // "[3, 4]"

  bool operator==(const Shape& other) const;

 private:
  int resolve(int index) const;

  std::array<std::int64_t, kMaxDimensions> sizes_{};
  int count_ = 0;
};

}  // namespace slotwise
