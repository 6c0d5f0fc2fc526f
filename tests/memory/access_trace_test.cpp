// Recorded reads: what the model read comes back from the file, fitted to tables of other sizes,
// and a file that is no trace is refused with one sentence.
#include "memory/access_trace.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <set>

#include "core/safetensors.h"
#include "tests/data/temporary_folder.h"
#include "tests/memory/tiny_memory_model.h"

namespace slotwise::testing {
namespace {

AccessTrace small_trace() {
  return {Tensor::from<std::int32_t>({0, 5, 3, 3, 1, 4}, {3, 1, 2}), 6, 0, "by hand"};
}

TEST(AccessTrace, KeepsWhatValidTokensRead) {
  MemoryModel model(tiny_memory_config(), 0, {});
  const Tensor tokens = tiny_tokens(2, 5, 1);
  std::vector<std::int32_t> seen;
  model.hooks().on_access = [&](const Access& access) {
    seen = access.slots.to_vector<std::int32_t>();
  };
  forward_only(model, tokens);
  model.hooks().on_access = nullptr;

  const Tensor valid = Tensor::from<std::uint8_t>({1, 1, 1, 0, 0, 1, 1, 1, 1, 0}, {2, 5});
  AccessTrace all, some;
  {
    const AccessRecorder recorder(model, 0);
    forward_only(model, tokens);
    all = recorder.trace("all");
  }
  {
    const AccessRecorder recorder(model, 0);
    forward_only(model, tokens, valid.view({10}));
    some = recorder.trace("some");
  }
  EXPECT_EQ(all.accesses.to_vector<std::int32_t>(), seen);
  EXPECT_EQ(all.accesses.shape(), (Shape{10, 2, 3}));
  EXPECT_EQ(all.slots, 36);
  EXPECT_EQ(some.accesses.shape(), (Shape{7, 2, 3}));
  // The third valid token is the third of all, the fourth is the sixth.
  EXPECT_TRUE(
      std::equal(seen.begin() + 12, seen.begin() + 18, some.accesses.data<std::int32_t>() + 12));
  EXPECT_TRUE(
      std::equal(seen.begin() + 30, seen.begin() + 36, some.accesses.data<std::int32_t>() + 18));
}

TEST(AccessTrace, ComesBackFromItsFile) {
  const TemporaryFolder folder;
  const AccessTrace trace = small_trace();
  save_access_trace(trace, folder / "trace.safetensors");
  const AccessTrace back = load_access_trace(folder / "trace.safetensors");
  EXPECT_EQ(back.accesses.to_vector<std::int32_t>(), trace.accesses.to_vector<std::int32_t>());
  EXPECT_EQ(back.accesses.shape(), trace.accesses.shape());
  EXPECT_EQ(back.slots, 6);
  EXPECT_EQ(back.table, 0);
  EXPECT_EQ(back.source, "by hand");
}

TEST(AccessTrace, FitsOtherTables) {
  const AccessTrace trace = small_trace();
  // The same table: the reads in their order, and again from the start.
  EXPECT_EQ(fitted(trace, 4, 2, 6).to_vector<std::int32_t>(),
            (std::vector<std::int32_t>{0, 5, 3, 3, 1, 4, 0, 5}));
  EXPECT_EQ(fitted(trace, 2, 4, 6).to_vector<std::int32_t>(),
            (std::vector<std::int32_t>{0, 5, 3, 3, 1, 4, 0, 5}));
  // A smaller one: modulo.
  EXPECT_EQ(fitted(trace, 3, 2, 4).to_vector<std::int32_t>(),
            (std::vector<std::int32_t>{0, 1, 3, 3, 1, 0}));
  // A larger one: all reads of a token in one copy of the slots, and every copy is drawn.
  const auto spread = fitted(trace, 300, 2, 18).to_vector<std::int32_t>();
  std::set<std::int32_t> copies;
  for (std::size_t i = 0; i < spread.size(); i += 2) {
    EXPECT_EQ(spread[i] / 6, spread[i + 1] / 6);
    EXPECT_EQ(spread[i] % 6, trace.accesses.data<std::int32_t>()[i % 6]);
    copies.insert(spread[i] / 6);
  }
  EXPECT_EQ(copies, (std::set<std::int32_t>{0, 1, 2}));
  // One that is no multiple: the last copy is cut short.
  for (const std::int32_t slot : fitted(trace, 300, 2, 16).to_vector<std::int32_t>()) {
    EXPECT_TRUE(slot >= 0 && slot < 16) << slot;
  }
}

TEST(AccessTrace, RefusesOtherFiles) {
  const TemporaryFolder folder;
  const auto path = folder / "trace.safetensors";
  const auto refused = [&](const Tensor& slots, std::map<std::string, std::string> changes,
                           const std::string& phrase) {
    std::map<std::string, std::string> metadata = {
        {"format", "slotwise access trace 1"}, {"slots", "6"}, {"table", "0"}};
    for (const auto& [key, value] : changes) metadata[key] = value;
    write_safetensors(path, {{"slots", slots}}, metadata);
    try {
      load_access_trace(path);
      ADD_FAILURE() << "taken, though: " << phrase;
    } catch (const UserError& error) {
      const std::string text = error.what();
      EXPECT_NE(text.find(phrase), std::string::npos) << text;
      EXPECT_NE(text.find(path.string()), std::string::npos) << text;
      EXPECT_EQ(text.find('\n'), std::string::npos) << text;
    }
  };
  const Tensor good = small_trace().accesses;
  refused(good, {{"format", "background"}}, "is not an access trace");
  refused(good, {{"slots", "5"}}, "slot 5 is not in a table of 5 slots");
  refused(good, {{"slots", ""}}, "'slots' must be a number from 1 on, got ''");
  refused(good, {{"slots", "6 or so"}}, "got '6 or so'");
  refused(good, {{"slots", "99999999999"}}, "got '99999999999'");
  refused(good, {{"table", "-1"}}, "'table' must be a number from 0 on");
  refused(good.view({6}), {}, "expected slots int32 [tokens, heads, k], not empty, got i32 [6]");
  refused(Tensor::empty({0, 1, 2}, DType::i32), {}, "not empty");
  refused(Tensor::zeros({3, 1, 2}), {}, "got f32");
  refused(Tensor::from<std::int32_t>({0, -1}, {1, 1, 2}), {}, "slot -1 is not in a table");
}

TEST(AccessTrace, NeedsATableToWatch) {
  MemoryModel model(tiny_memory_config(), 0, {});
  EXPECT_THROW(AccessRecorder(model, 1), UserError);
  EXPECT_THROW(AccessRecorder(model, -1), UserError);
  const AccessRecorder recorder(model, 0);  // the failed ones have left the model unwatched
}

}  // namespace
}  // namespace slotwise::testing
