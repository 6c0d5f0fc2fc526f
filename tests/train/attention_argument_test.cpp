// --attention where there is no CUDA device, and what run.json says of the device.
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "core/error.h"
#include "kernels/attention_body.h"
#include "tests/data/temporary_folder.h"
#include "tests/train/tiny_world.h"
#include "train/program.h"
#include "train/run_device.h"

namespace slotwise::testing {
namespace {

TEST(AttentionArgument, AutoIsTakenEverywhere) {
  EXPECT_TRUE((DeviceArgument{.device = "cpu", .attention = "auto"}.place(nullptr).is_cpu()));
}

TEST(AttentionArgument, AChoiceWithoutCudaIsRefused) {
  for (const char* device : {"cpu", "emulated"}) {
    for (const char* body : {"composed", "blocked", "cudnn"}) {
      EXPECT_THROW((DeviceArgument{.device = device, .attention = body}.place(nullptr)), UserError);
    }
  }
  EXPECT_THROW((DeviceArgument{.device = "cpu", .attention = "flash"}.place(nullptr)), UserError);
}

TEST(AttentionArgument, ProgramsSayWhyInOneLine) {
  const TemporaryFolder folder;
  const Finished done = run_program(
      "pretrain", tiny_world().pretrain(folder / "out") +
                      Words{"--device", "cpu", "--attention", "cudnn", "--precision", "bf16"});
  EXPECT_EQ(done.code, 1);
  EXPECT_EQ(done.error,
            "slotwise-pretrain: --attention cudnn is a choice on CUDA devices, and this is cpu; "
            "leave it out\n");
}

TEST(RunDevice, SaysOnlyWhatIsNotPlain) {
  const auto settings = [](Device device, DType products) {
    nlohmann::json out = {{"seed", 1}};
    add_device_settings(out, device, products);
    return out.dump();
  };
  const Device emulated{DeviceType::emulated};
  EXPECT_EQ(settings({}, DType::f32), R"({"seed":1})");
  EXPECT_EQ(settings({}, DType::bf16), R"({"precision":"bf16","seed":1})");
  EXPECT_EQ(settings(emulated, DType::f32), R"({"device":"emulated","seed":1})");
  kernels::set_attention_choice(kernels::AttentionBody::composed);
  EXPECT_EQ(settings({DeviceType::cuda, 1}, DType::bf16),
            R"({"attention":"composed","device":"cuda","precision":"bf16","seed":1})");
  kernels::set_attention_choice({});
}

}  // namespace
}  // namespace slotwise::testing
