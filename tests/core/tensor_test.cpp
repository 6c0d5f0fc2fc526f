// Shapes, tensor handles and element types.
#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "core/communicator.h"
#include "core/parallel.h"
#include "tests/kernels/memory_test_support.h"

namespace slotwise::testing {
namespace {

Tensor counting(const Shape& shape) {
  std::vector<float> values;
  for (std::int64_t i = 0; i < shape.elements(); ++i) values.push_back(static_cast<float>(i));
  return Tensor::from(values, shape);
}

TEST(Shape, CountsAndIndices) {
  const Shape shape{2, 3, 4};
  EXPECT_EQ(shape.dimensions(), 3);
  EXPECT_EQ(shape.elements(), 24);
  EXPECT_EQ(shape.rows(), 6);
  EXPECT_EQ(shape.last(), 4);
  EXPECT_EQ(shape[-3], 2);
  EXPECT_EQ(shape.text(), "[2, 3, 4]");
  EXPECT_EQ(shape.with(-2, 7), (Shape{2, 7, 4}));
  EXPECT_NE(shape, (Shape{2, 3}));
  EXPECT_NE(shape, (Shape{2, 3, 5}));
  EXPECT_EQ((Shape{0, 5}).elements(), 0);
  EXPECT_EQ(Shape{}.elements(), 1);
  EXPECT_EQ(Shape{}.text(), "[]");
}

TEST(Shape, RefusesWhatItCannotHold) {
  const Shape shape{2, 3};
  EXPECT_THROW(shape[2], Error);
  EXPECT_THROW(shape[-3], Error);
  EXPECT_THROW((Shape{1, -1}), Error);
  EXPECT_THROW((Shape{1, 1, 1, 1, 1, 1, 1}), Error);
}

TEST(Tensor, ViewAndSliceShareTheStorage) {
  const Tensor tensor = counting({4, 3});
  const Tensor view = tensor.view({2, 6}), slice = tensor.slice(1, 3);
  EXPECT_EQ(slice.shape(), (Shape{2, 3}));
  EXPECT_EQ(slice.to_vector<float>(), (std::vector<float>{3, 4, 5, 6, 7, 8}));
  slice.slice(1, 2).data<float>()[2] = 80.0f;
  EXPECT_EQ(tensor.data<float>()[8], 80.0f);
  EXPECT_EQ(view.data<float>()[8], 80.0f);
  EXPECT_TRUE(slice.same_storage(tensor));
  EXPECT_EQ(slice.view({6}).data<float>(), slice.data<float>());
  slice.zero();
  EXPECT_EQ(tensor.to_vector<float>(), (std::vector<float>{0, 1, 2, 0, 0, 0, 0, 0, 0, 9, 10, 11}));
  EXPECT_EQ(tensor.slice(4, 4).elements(), 0);
}

TEST(Tensor, CloneIsAloneAndUniqueTellsSo) {
  Tensor tensor = counting({3});
  EXPECT_TRUE(tensor.unique());
  const Tensor clone = tensor.clone();
  EXPECT_TRUE(tensor.unique());
  {
    const Tensor slice = tensor.slice(0, 1);
    EXPECT_FALSE(tensor.unique());
    EXPECT_FALSE(slice.unique());
  }
  EXPECT_TRUE(tensor.unique());
  tensor.data<float>()[0] = 9.0f;
  EXPECT_EQ(clone.data<float>()[0], 0.0f);
  EXPECT_FALSE(clone.same_storage(tensor));
  EXPECT_FALSE(Tensor{}.unique());
  clone.copy_from(tensor);
  EXPECT_TRUE(equal_bits(clone, tensor));
}

TEST(Tensor, RefusesMismatches) {
  const Tensor tensor = counting({4, 3});
  EXPECT_THROW(tensor.view({5}), Error);
  EXPECT_THROW(tensor.slice(2, 5), Error);
  EXPECT_THROW(tensor.slice(3, 2), Error);
  EXPECT_THROW(tensor.slice(-1, 2), Error);
  EXPECT_THROW(tensor.data<std::int32_t>(), Error);
  EXPECT_THROW(tensor.copy_from(counting({3, 4})), Error);
  EXPECT_THROW(tensor.copy_from(Tensor::zeros({4, 3}, DType::i32)), Error);
  EXPECT_THROW(Tensor::from<float>({1.0f, 2.0f}, {3}), Error);
  EXPECT_THROW(Tensor{}.raw(), Error);
  EXPECT_THROW(Tensor{}.device(), Error);
}

TEST(DType, SizesAndNames) {
  EXPECT_EQ(size_of(DType::f32) + size_of(DType::i32), 8u);
  EXPECT_EQ(size_of(DType::bf16), 2u);
  EXPECT_EQ(size_of(DType::i64), 8u);
  EXPECT_EQ(size_of(DType::u8), 1u);
  EXPECT_EQ(name_of(DType::bf16), "bf16");
  EXPECT_EQ(Tensor::zeros({3, 5}, DType::bf16).bytes(), 30u);
}

float round_trip(float value) {
  return static_cast<float>(BFloat16(value));
}

TEST(BFloat16, RoundsToNearestAndTiesToEven) {
  EXPECT_EQ(round_trip(1.0f), 1.0f);
  EXPECT_EQ(round_trip(1.0f + 0x1p-8f), 1.0f);             // half way, even below
  EXPECT_EQ(round_trip(1.0f + 3 * 0x1p-8f), 1.015625f);    // half way, even above
  EXPECT_EQ(round_trip(1.0f + 0x1.02p-8f), 1.0078125f);    // just above half way
  EXPECT_EQ(round_trip(1.0f + 0x1.fep-9f), 1.0f);          // just below
  EXPECT_EQ(round_trip(-1.0f - 3 * 0x1p-8f), -1.015625f);  // away from zero alike
  EXPECT_EQ(round_trip(0x1.fffp0f), 2.0f);                 // carries into the exponent
}

TEST(BFloat16, KeepsSpecialValues) {
  constexpr float kInfinity = std::numeric_limits<float>::infinity();
  EXPECT_EQ(round_trip(kInfinity), kInfinity);
  EXPECT_EQ(round_trip(-kInfinity), -kInfinity);
  EXPECT_EQ(round_trip(std::numeric_limits<float>::max()), kInfinity);
  EXPECT_TRUE(std::isnan(round_trip(std::numeric_limits<float>::quiet_NaN())));
  // A NaN whose payload lies in the lower half only must not become infinity.
  EXPECT_TRUE(std::isnan(round_trip(std::bit_cast<float>(0x7f800001u))));
  EXPECT_TRUE(std::isnan(round_trip(std::bit_cast<float>(0xffffffffu))));
  EXPECT_EQ(BFloat16(-0.0f).bits, 0x8000u);
}

TEST(ParallelFor, CoversEachIndexOnce) {
  for (const int threads : {1, 2, 3, 5}) {
    with_threads(threads, [] {
      for (const std::int64_t count : {0, 1, 2, 3, 7, 64, 65, 1000}) {
        for (const std::int64_t grain : {1, 3, 64, 5000}) {
          std::vector<int> visits(static_cast<std::size_t>(count), 0);
          std::vector<int> parts(static_cast<std::size_t>(thread_count()), 0);
          parallel_for(count, grain, [&](std::int64_t begin, std::int64_t end, int part) {
            ++parts.at(static_cast<std::size_t>(part));
            for (std::int64_t i = begin; i < end; ++i) ++visits[static_cast<std::size_t>(i)];
          });
          EXPECT_EQ(visits, std::vector<int>(visits.size(), 1)) << count << " by " << grain;
          EXPECT_LE(*std::max_element(parts.begin(), parts.end()), 1);
          EXPECT_EQ(parts[0], count > 0 ? 1 : 0);
        }
      }
      return 0;
    });
  }
}

TEST(ParallelFor, DoesNotNestThreads) {
  with_threads(2, [] {
    std::vector<int> inner(2, 0);
    parallel_for(2, 1, [&](std::int64_t begin, std::int64_t end, int) {
      for (std::int64_t i = begin; i < end; ++i) {
        parallel_for(
            100, 1, [&](std::int64_t, std::int64_t, int) { ++inner[static_cast<std::size_t>(i)]; });
      }
    });
    EXPECT_EQ(inner, (std::vector<int>{1, 1}));
    return 0;
  });
}

TEST(Communicator, SingleProcessLeavesTensorsAlone) {
  const auto group = single_process();
  EXPECT_EQ(group->rank(), 0);
  EXPECT_EQ(group->size(), 1);
  EXPECT_TRUE(group->is_root());
  const Tensor tensor = counting({5}), before = tensor.clone();
  group->all_reduce_sum(tensor);
  group->broadcast(tensor, 0);
  group->barrier();
  EXPECT_TRUE(equal_bits(tensor, before));
  EXPECT_THROW(group->broadcast(tensor, 1), Error);
  EXPECT_THROW(group->all_reduce_sum({}), Error);
}

}  // namespace
}  // namespace slotwise::testing
