// Host code under attention on CUDA, tested where there is no GPU: which body runs a call, under
// what cuDNN's plans are kept, which keys a query sees.
#include "kernels/attention_body.h"

#include <gtest/gtest.h>

#include <set>

#include "core/devices.h"
#include "kernels/attention_rows.h"

namespace slotwise::kernels {
namespace {

const CudnnStatus kThere{true, "cuDNN 9.19.0"}, kMissing{false, "libcudnn.so.9 cannot be loaded"};
constexpr AttentionChoice kAuto;

AttentionForm plain_bf16() {
  return {.batch = 8,
          .queries = 512,
          .keys = 512,
          .heads = 8,
          .groups = 2,
          .size = 64,
          .products = DType::bf16};
}

template <class Change>
AttentionForm changed(Change&& change) {
  AttentionForm form = plain_bf16();
  change(form);
  return form;
}

std::string refusal_of(AttentionChoice choice, const CudnnStatus& cudnn,
                       const AttentionForm& form) {
  try {
    choose_attention_body(choice, cudnn, form);
  } catch (const UserError& error) {
    return error.what();
  }
  return "";
}

TEST(AttentionBody, AutomaticTakesCudnnWhereItCan) {
  EXPECT_EQ(choose_attention_body(kAuto, kThere, plain_bf16()), AttentionBody::cudnn);
  EXPECT_EQ(choose_attention_body(kAuto, kMissing, plain_bf16()), AttentionBody::blocked);
  for (const AttentionForm& form :
       {changed([](auto& f) { f.products = DType::f32; }),
        changed([](auto& f) { f.ragged = true; }), changed([](auto& f) { f.size = 20; }),
        changed([](auto& f) { f.size = 136; }), changed([](auto& f) { f.size = 0; }),
        changed([](auto& f) { f.queries = 1; }), changed([](auto& f) { f.keys = 1; }),
        changed([](auto& f) { f.keys = 0; }), changed([](auto& f) { f.batch = 0; }),
        changed([](auto& f) { f.heads = 0; })}) {
    EXPECT_NE(cudnn_refusal(form), "");
    EXPECT_EQ(choose_attention_body(kAuto, kThere, form), AttentionBody::blocked);
  }
  for (const AttentionForm& form :
       {changed([](auto& f) { f.causal = false; }), changed([](auto& f) { f.groups = 8; }),
        changed([](auto& f) { f.size = 128; }), changed([](auto& f) { f.keys = 77; })}) {
    EXPECT_EQ(choose_attention_body(kAuto, kThere, form), AttentionBody::cudnn);
  }
}

TEST(AttentionBody, AChoiceIsMetOrRefusedWithAReason) {
  for (const auto body : {AttentionBody::composed, AttentionBody::blocked}) {
    EXPECT_EQ(choose_attention_body(body, kThere, plain_bf16()), body);
    EXPECT_EQ(choose_attention_body(body, kMissing, {.ragged = true}), body);
  }
  const AttentionChoice asked = AttentionBody::cudnn;
  EXPECT_EQ(choose_attention_body(asked, kThere, plain_bf16()), AttentionBody::cudnn);
  EXPECT_NE(refusal_of(asked, kMissing, plain_bf16()).find("libcudnn.so.9 cannot be loaded"),
            std::string::npos);
  const auto in_fp32 = refusal_of(asked, kThere, changed([](auto& f) { f.products = DType::f32; }));
  EXPECT_NE(in_fp32.find("--precision bf16"), std::string::npos) << in_fp32;
  const auto packed = refusal_of(asked, kThere, changed([](auto& f) { f.ragged = true; }));
  EXPECT_NE(packed.find("say auto"), std::string::npos) << packed;
}

TEST(AttentionBody, HasNames) {
  EXPECT_EQ(attention_choice_of("auto"), kAuto);
  for (const auto body : {AttentionBody::composed, AttentionBody::blocked, AttentionBody::cudnn}) {
    EXPECT_EQ(attention_choice_of(std::string(name_of(body))), body);
  }
  EXPECT_THROW(attention_choice_of("flash"), UserError);
  EXPECT_THROW(attention_choice_of(""), UserError);
}

TEST(AttentionBody, TheSettingHoldsForTheProgram) {
  EXPECT_EQ(attention_choice(), kAuto);
  // In fp32 cuDNN is not even looked for.
  EXPECT_EQ(usual_attention_body(DType::f32), AttentionBody::blocked);
  EXPECT_EQ(describe_attention(DType::f32), "blocked");
  set_attention_choice(AttentionBody::composed);
  EXPECT_EQ(usual_attention_body(DType::bf16), AttentionBody::composed);
  EXPECT_EQ(describe_attention(DType::bf16), "composed");
  set_attention_choice(AttentionBody::cudnn);
  EXPECT_THROW(describe_attention(DType::f32), UserError);
  set_attention_choice(kAuto);
}

// Without a GPU, too, this build says what it has: the library may load where no GPU is.
TEST(AttentionBody, TheBuildSaysWhetherItHasCudnn) {
  const CudnnStatus& status = cuda::cudnn_status();
  EXPECT_FALSE(status.text.empty());
  const bool taken = usual_attention_body(DType::bf16) == AttentionBody::cudnn;
  EXPECT_EQ(taken, status.usable);
  EXPECT_NE(describe_attention(DType::bf16).find(status.text), std::string::npos);
}

TEST(AttentionPlanKey, DiffersWhereAPlanWould) {
  std::set<AttentionPlanKey> keys;
  const auto add = [&](auto&& change) {
    AttentionPlanKey key{.device = 0, .backward = false, .form = plain_bf16()};
    change(key);
    return keys.insert(key).second;
  };
  EXPECT_TRUE(add([](auto&) {}));
  EXPECT_FALSE(add([](auto&) {}));
  EXPECT_TRUE(add([](auto& key) { key.device = 1; }));
  EXPECT_TRUE(add([](auto& key) { key.backward = true; }));
  EXPECT_TRUE(add([](auto& key) { key.form.batch = 9; }));
  EXPECT_TRUE(add([](auto& key) { key.form.queries = 9; }));
  EXPECT_TRUE(add([](auto& key) { key.form.keys = 9; }));
  EXPECT_TRUE(add([](auto& key) { key.form.heads = 4; }));
  EXPECT_TRUE(add([](auto& key) { key.form.groups = 4; }));
  EXPECT_TRUE(add([](auto& key) { key.form.size = 128; }));
  EXPECT_TRUE(add([](auto& key) { key.form.causal = false; }));
  EXPECT_TRUE(add([](auto& key) { key.form.scale = 0.125f; }));
  EXPECT_EQ(keys.size(), 11u);
}

Tensor row_of(const std::vector<std::int32_t>& values) {
  return Tensor::from(values, {static_cast<std::int64_t>(values.size())});
}

TEST(AttentionRows, PackedTokensSeeTheirOwnRow) {
  AttentionForward args;
  args.q = args.k = args.v = Tensor::zeros({1, 9, 1, 4});
  args.offsets = row_of({0, 0, 3, 3, 8, 9, 9});  // empty rows at both ends and between
  args.longest = 5;
  const std::vector<std::int64_t> begins{0, 0, 0, 3, 3, 3, 3, 3, 8};
  const std::vector<std::int64_t> ends{3, 3, 3, 8, 8, 8, 8, 8, 9};
  for (args.causal = true;; args.causal = false) {
    const AttentionRows rows(args);
    for (std::int64_t t = 0; t < 9; ++t) {
      const KeyRange seen = rows.visible(0, t);
      EXPECT_EQ(seen.begin, begins[t]) << t;
      EXPECT_EQ(seen.end, args.causal ? t + 1 : ends[t]) << t;
    }
    if (!args.causal) break;
  }
}

TEST(AttentionRows, PaddedAndContinuedRowsEndWhereTheyAreTold) {
  AttentionForward args;
  args.q = Tensor::zeros({3, 2, 4, 8});
  args.k = args.v = Tensor::zeros({3, 9, 2, 8});
  args.query_start = row_of({5, -1, 8});
  args.key_length = row_of({9, 4, 6});
  const AttentionRows rows(args);
  const std::vector<std::int64_t> ends{6, 7, 0, 1, 6, 6};
  for (std::int64_t i = 0; i < 6; ++i) {
    const KeyRange seen = rows.visible(i / 2, i % 2);
    EXPECT_EQ(seen.begin, 0);
    EXPECT_EQ(seen.end, ends[i]) << i;
  }
  EXPECT_EQ(rows.query_at(2, 1, 3), ((2 * 2 + 1) * 4 + 3) * 8);
  EXPECT_EQ(rows.key_at(2, 7, 1), ((2 * 9 + 7) * 2 + 1) * 8);
}

}  // namespace
}  // namespace slotwise::kernels
