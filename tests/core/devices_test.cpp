// Choosing a device, and the rule of who may touch whose memory.
#include "core/devices.h"

#include <gtest/gtest.h>

#include "core/device_memory.h"
#include "core/device_scope.h"
#include "core/parallel.h"
#include "core/tensor.h"
#include "tests/data/temporary_folder.h"

namespace slotwise::testing {
namespace {

constexpr Device kEmulated{DeviceType::emulated};

TEST(Devices, AreFoundByName) {
  EXPECT_EQ(find_device("cpu"), Device{});
  EXPECT_EQ(find_device("emulated"), kEmulated);
  EXPECT_EQ(find_device("auto").is_cuda(), cuda::device_count() > 0);
  EXPECT_NE(user_error_of([] { find_device("gpu"); }).find("auto, cpu, cuda or cuda:N, got 'gpu'"),
            std::string::npos);
  EXPECT_NE(user_error_of([] { find_device("cuda:x"); }).find("got 'cuda:x'"), std::string::npos);
  const std::string far = user_error_of([] { find_device("cuda:999"); });
  EXPECT_NE(far.find("expected a GPU"), std::string::npos);
  EXPECT_NE(far.find("use --device cpu"), std::string::npos);
}

TEST(Devices, DescribeThemselves) {
  EXPECT_EQ(describe(Device{}), "cpu");
  EXPECT_GT(memory_bytes(Device{}), std::size_t{1} << 28);
}

TEST(DeviceMemory, IsNotForTheHost) {
  const Tensor there = Tensor::zeros({2, 3}, DType::f32, kEmulated);
  EXPECT_THROW(there.data<float>(), Error);
  EXPECT_THROW(there.span<float>(), Error);
  EXPECT_THROW(there.raw(), Error);
  EXPECT_EQ(there.to_vector<float>(), std::vector<float>(6, 0.0f));
}

TEST(DeviceMemory, InAnOpOnlyThatOfItsDevice) {
  const Tensor here = Tensor::zeros({2}), there = Tensor::zeros({2}, DType::f32, kEmulated);
  const DeviceScope scope(kEmulated);
  EXPECT_NE(there.data<float>(), nullptr);
  EXPECT_THROW(here.data<float>(), Error);
  parallel_for(64, 1, [&](std::int64_t, std::int64_t, int) {
    EXPECT_EQ(DeviceScope::current(), kEmulated);
  });
}

TEST(DeviceMemory, FreshBlocksHoldNaN) {
  const Tensor there = Tensor::empty({12345}, DType::f32, kEmulated);
  const auto values = there.to_vector<float>();
  EXPECT_NE(values[0], values[0]);
}

TEST(DeviceMemory, CopiesToTheHostAreCounted) {
  const std::int64_t before = copies_to_host();
  const Tensor there = Tensor::from<float>({1, 2, 3}, {3}, kEmulated);
  there.clone();
  EXPECT_EQ(copies_to_host(), before);
  EXPECT_EQ(there.slice(1, 3).to_vector<float>(), (std::vector<float>{2, 3}));
  EXPECT_EQ(copies_to_host(), before + 1);
}

}  // namespace
}  // namespace slotwise::testing
