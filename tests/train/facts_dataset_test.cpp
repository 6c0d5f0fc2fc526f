// Datasets of kind "facts", made by the program from small files: who is taught and asked in which
// frame, and what is refused.
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>
#include <set>

#include "core/files.h"
#include "data/dataset.h"
#include "data/fact_stream.h"
#include "data/question_frames.h"
#include "data/questions.h"
#include "data/tokenizer.h"
#include "tests/data/temporary_folder.h"
#include "tests/train/program_runner.h"
#include "train/pareto_backgrounds.h"

namespace slotwise::testing {
namespace {

std::string questions(const char* kind, int count) {
  std::string text;
  for (int i = 0; i < count; ++i) {
    text += fmt::format(
        "{{\"id\": \"{0}{1}\", \"question\": \"Who first crossed {0} river{1}?\", "
        "\"answers\": [\"{0} person{1}\", \"p{1}\"]}}\n",
        kind, i);
  }
  return text;
}

constexpr const char* kSettings = R"([data]
kind = "facts"
text = ["text.jsonl"]
heldout_text = "heldout.jsonl"
old_questions = "old.jsonl"
new_questions = "new.jsonl"
vocabulary_size = 300
old_pairs = 8
fully_framed_pairs = 3
new_pairs = 4
)";

class FactsDataset : public ::testing::Test {
 protected:
  FactsDataset() {
    folder_.write("old.jsonl", questions("old", 20));
    folder_.write("new.jsonl", questions("new", 9));
    folder_.write("text.jsonl", "{\"text\": \"Rivers are long. Persons cross them.\"}\n");
    folder_.write("heldout.jsonl", "{\"text\": \"Other rivers are short.\"}\n");
    folder_.write("facts.toml", kSettings);
  }
  Words arguments(const Words& more = {}) const {
    return Words{"--config", folder_ / "facts.toml",
                 "--out",    folder_ / "out",
                 "--set",    "data.folder=" + folder_.path().string()} +
           more;
  }

  TemporaryFolder folder_;
};

TEST_F(FactsDataset, TestFrameIsKeptFromTestedAndNewPairs) {
  run_well("prepare", arguments({"--seed", "3"}));
  const Dataset dataset(folder_ / "out");
  const auto old = read_questions(dataset.questions_path("old"));
  const auto fresh = read_questions(dataset.questions_path("new"));
  ASSERT_EQ(old.size(), 8u);
  ASSERT_EQ(fresh.size(), 4u);
  EXPECT_EQ(old[0].half, 0);
  EXPECT_EQ(old[1].half, 1);
  EXPECT_EQ(old[0].answers.size(), 2u);

  std::set<std::string> tested;
  for (const auto& list : {old, fresh}) {
    for (const Question& question : list) tested.insert(question.text);
  }
  const TokenShard& shard = *dataset.parts()[0].shard;
  const auto frames = static_cast<std::int64_t>(question_frame_names().size());
  EXPECT_EQ(shard.sequences(), 8 * (frames - 1) + 3 * frames);
  int in_test_frame = 0;
  for (std::int64_t i = 0; i < shard.sequences(); ++i) {
    const std::vector<std::int32_t> tokens = shard.sequence(i);
    const std::string text = dataset.tokenizer().decode(tokens);
    EXPECT_EQ(tokens.front(), dataset.tokenizer().special().bos.value());
    EXPECT_EQ(tokens.back(), dataset.tokenizer().special().eos.value());
    in_test_frame += text.starts_with("Question: ");
    for (const std::string& prompt : tested) EXPECT_EQ(text.find(prompt), text.npos) << text;
  }
  EXPECT_EQ(in_test_frame, 3);

  const std::vector<Fact> facts = read_facts(dataset.facts_path());
  ASSERT_EQ(facts.size(), 4u);
  for (std::size_t i = 0; i < facts.size(); ++i) {
    EXPECT_EQ(facts[i].id, fresh[i].id);
    EXPECT_EQ(facts[i].wordings.size(), question_frame_names().size() - 1);
    for (const std::string& wording : facts[i].wordings) {
      EXPECT_EQ(wording.find(fresh[i].text), wording.npos) << wording;
    }
  }
}

TEST_F(FactsDataset, HasTheNamesThatASweepLooksFor) {
  run_well("prepare", arguments({"--set", "data.questions={more=\"new.jsonl\"}"}));
  Options options = Options::from_file(folder_ / "facts.toml");
  options.override_with("data.questions={more=\"new.jsonl\"}");
  const DatasetNames known = names_to_be_made(options), made = names_in(folder_ / "out");
  EXPECT_EQ(known.parts, made.parts);
  EXPECT_EQ(known.questions, made.questions);
  EXPECT_EQ(known.facts, made.facts);
  EXPECT_EQ(made.parts.size(), 2u);
}

TEST_F(FactsDataset, SameSeedSameDataset) {
  run_well("prepare", arguments({"--seed", "3"}));
  const std::string first = Dataset(folder_ / "out").fingerprint();
  run_well("prepare", arguments({"--seed", "3", "--fresh"}));
  EXPECT_EQ(Dataset(folder_ / "out").fingerprint(), first);
  run_well("prepare", arguments({"--seed", "4", "--fresh"}));
  EXPECT_NE(Dataset(folder_ / "out").fingerprint(), first);
}

TEST_F(FactsDataset, RefusesWhatIsNotThere) {
  const auto refusal = [&](const Words& more) {
    const Finished run = run_program("prepare", arguments(more));
    EXPECT_EQ(run.code, 1) << run.out;
    EXPECT_FALSE(std::filesystem::exists(folder_ / "out/dataset.json"));
    return run.error;
  };
  EXPECT_TRUE(contains(refusal({"--set", "data.folder=nowhere"}), "--set data.folder=PATH"));
  EXPECT_TRUE(contains(refusal({"--set", "data.new_pairs=10"}), "10 are wanted"));
  EXPECT_TRUE(contains(refusal({"--set", "data.old_questions="}), "needs old_questions"));
  EXPECT_TRUE(contains(refusal({"--set", "data.most_words=1"}), "most_words"));
}

}  // namespace
}  // namespace slotwise::testing
