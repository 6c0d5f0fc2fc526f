#include "data/biographies.h"

#include <cmath>
#include <map>
#include <set>

#include "core/files.h"
#include "data/biography_world.h"
#include "data/dataset.h"
#include "data/fact_stream.h"
#include "data/questions.h"
#include "data/tokenizer.h"
#include "tests/data/temporary_folder.h"

namespace slotwise {
namespace {

BiographyOptions small_options(std::uint64_t seed) {
  return {.seed = seed,
          .first_names = 5,
          .last_names = 7,
          .old_people = 12,
          .fully_questioned_people = 6,
          .new_people = 3,
          .values = 4,
          .text_sentences = 50,
          .heldout_sentences = 9};
}

std::vector<std::string> texts_of(const Dataset& dataset, const TokenShard& shard) {
  std::vector<std::string> texts;
  for (std::int64_t i = 0; i < shard.sequences(); ++i) {
    const auto tokens = shard.sequence(i);
    EXPECT_EQ(tokens.front(), dataset.tokenizer().special().bos);
    texts.push_back(dataset.tokenizer().decode(tokens));
  }
  return texts;
}

// The world of the preset, written once.
class BiographiesTest : public testing::Test {
 protected:
  static void SetUpTestSuite() {
    folder_ = new TemporaryFolder;
    write_biographies({.seed = 3}, folder_->path());
  }
  static void TearDownTestSuite() {
    delete folder_;
    folder_ = nullptr;
  }
  static TemporaryFolder* folder_;
  const Dataset dataset_{folder_->path()};
};
TemporaryFolder* BiographiesTest::folder_ = nullptr;

TEST_F(BiographiesTest, DefaultsAreThePresetsNumbers) {
  dataset_.verify();
  EXPECT_EQ(dataset_.manifest().name, "biographies");
  EXPECT_EQ(dataset_.manifest().seed, 3u);
  EXPECT_EQ(dataset_.tokenizer().vocabulary_size(), 429);
  EXPECT_EQ(dataset_.tokenizer().special().pad, 0);
  EXPECT_EQ(dataset_.tokenizer().special().bos, 1);
  ASSERT_EQ(dataset_.parts().size(), 3u);
  EXPECT_EQ(dataset_.parts()[0].shard->sequences(), 256 * 4 * 6);
  EXPECT_EQ(dataset_.parts()[1].shard->sequences(), 128 * 4 * 4 + 128 * 4 * 3);
  EXPECT_EQ(dataset_.parts()[2].shard->sequences(), 20'000);
  EXPECT_EQ(dataset_.heldout_text().sequences(), 512);
  double total = 0;
  for (const MixturePart& part : dataset_.parts()) {
    EXPECT_LE(part.shard->longest_sequence(), 14);
    total += part.weight;
  }
  EXPECT_DOUBLE_EQ(total, 1.0);
  EXPECT_EQ(read_questions(dataset_.questions_path("old")).size(), 512u);
  EXPECT_EQ(read_questions(dataset_.questions_path("new")).size(), 64u);
  EXPECT_EQ(read_questions(dataset_.questions_path("new_statements")).size(), 384u);
  const auto facts = read_facts(dataset_.facts_path());
  EXPECT_EQ(facts.size(), 64u);
  for (const Fact& fact : facts) EXPECT_EQ(fact.wordings.size(), 9u);
}

TEST_F(BiographiesTest, TestedWordingsAreNeverTrained) {
  std::set<std::string> trained;
  for (const MixturePart& part : dataset_.parts()) {
    for (const std::string& text : texts_of(dataset_, *part.shard)) trained.insert(text);
  }
  std::set<std::string> taught;
  for (const Fact& fact : read_facts(dataset_.facts_path())) {
    taught.insert(fact.wordings.begin(), fact.wordings.end());
  }
  for (const std::string& text : taught) EXPECT_FALSE(trained.contains(text)) << text;
  for (const char* role : {"old", "new"}) {
    for (const Question& question : read_questions(dataset_.questions_path(role))) {
      const std::string full = question.text + " " + question.answers[0] + " .";
      EXPECT_FALSE(trained.contains(full) || taught.contains(full)) << full;
      EXPECT_TRUE(question.text.ends_with(" ?"));
    }
  }
  for (const Question& question : read_questions(dataset_.questions_path("new_statements"))) {
    EXPECT_TRUE(taught.contains(question.text + " " + question.answers[0] + " ."));
  }
}

TEST_F(BiographiesTest, HalvesAreEqualAndHoldAllAttributes) {
  for (const auto& [role, rows] : {std::pair{"old", 256}, {"new", 32}, {"new_statements", 192}}) {
    const auto questions = read_questions(dataset_.questions_path(role));
    std::set<std::string> people[2];
    for (const int half : {0, 1}) {
      std::map<std::string, int> by_attribute;
      for (const Question& question : questions) {
        if (question.half != half) continue;
        const auto first = question.id.find('/'), last = question.id.rfind('/');
        people[half].insert(question.id.substr(0, first));
        ++by_attribute[question.id.substr(first + 1, last - first - 1)];
      }
      ASSERT_EQ(by_attribute.size(), 4u);
      for (const auto& [attribute, count] : by_attribute) EXPECT_EQ(count, rows / 4) << attribute;
    }
    for (const std::string& person : people[0]) EXPECT_FALSE(people[1].contains(person));
  }
}

TEST_F(BiographiesTest, TextFollowsItsGrammar) {
  // The favourite of six followers comes up in 32 of 63 cases.
  std::map<std::string, std::map<std::string, int>> followers;
  std::map<std::size_t, int> lengths;
  const auto texts = texts_of(dataset_, *dataset_.parts()[2].shard);
  for (const std::string& text : texts) {
    std::vector<std::string> words;
    for (std::size_t at = 0; at < text.size(); at = text.find(' ', at) + 1) {
      words.push_back(text.substr(at, text.find(' ', at) - at));
      if (text.find(' ', at) == text.npos) break;
    }
    ++lengths[words.size()];
    ++followers[words[1]][words[2]];
    EXPECT_EQ(words.back(), ".");
  }
  ASSERT_EQ(lengths.size(), 3u);
  EXPECT_NEAR(lengths[7] / 20'000.0, 0.4, 0.02);
  EXPECT_NEAR(lengths[12] / 20'000.0, 0.3, 0.02);
  EXPECT_NEAR(lengths[11] / 20'000.0, 0.3, 0.02);
  EXPECT_EQ(followers.size(), 24u);
  for (const auto& [adjective, nouns] : followers) {
    EXPECT_LE(nouns.size(), 6u) << adjective;
    int favourite = 0, total = 0;
    for (const auto& [noun, count] : nouns) {
      favourite = std::max(favourite, count);
      total += count;
    }
    EXPECT_NEAR(favourite / double(total), 32.0 / 63.0, 0.1) << adjective;
  }
  const auto heldout = texts_of(dataset_, dataset_.heldout_text());
  EXPECT_NE(std::vector(texts.begin(), texts.begin() + 512), heldout);
}

TEST(BiographyWorld, FillsTheTemplates) {
  const BiographyOptions options = small_options(1);
  const BiographyWorld world(options);
  const auto& city = kBiographyAttributes[0];
  const std::string answer = world.answer(2, 0);
  EXPECT_TRUE(answer.starts_with("city"));
  const std::string sentence = world.sentence(2, 0, city.statements[0]);
  EXPECT_TRUE(sentence.starts_with("first") && contains(sentence, " last"));
  EXPECT_TRUE(sentence.ends_with(" was born in " + answer + " .")) << sentence;
  EXPECT_EQ(world.prompt(2, 0, city.statements[0]) + " " + answer + " .", sentence);
  EXPECT_TRUE(world.prompt(2, 0, city.questions[0]).ends_with(" born ?"));
  std::set<std::string> names;
  for (int person = 0; person < 15; ++person) names.insert(world.prompt(person, 0, "F L"));
  EXPECT_EQ(names.size(), 15u);
  for (const auto& attribute : kBiographyAttributes) {
    for (const char* wording : attribute.statements) {
      EXPECT_TRUE(std::string_view(wording).ends_with(" A .")) << wording;
    }
    for (const char* wording : attribute.questions) {
      EXPECT_TRUE(std::string_view(wording).ends_with(" ? A .")) << wording;
    }
  }
}

TEST(Biographies, SameSeedSameBytesOtherSeedOtherFacts) {
  const TemporaryFolder folder;
  for (const auto& [name, seed] : {std::pair{"a", 5}, {"b", 5}, {"c", 6}}) {
    write_biographies(small_options(static_cast<std::uint64_t>(seed)), folder / name);
  }
  int different = 0, files = 0;
  for (const auto& entry : std::filesystem::directory_iterator(folder / "a")) {
    const auto name = entry.path().filename();
    EXPECT_EQ(read_file(folder / "a" / name), read_file(folder / "b" / name)) << name;
    different += read_file(folder / "a" / name) != read_file(folder / "c" / name);
    ++files;
  }
  EXPECT_EQ(files, 10);
  EXPECT_EQ(different, 9);  // all but the tokenizer
}

TEST(Biographies, ReplacesAnEarlierDataset) {
  const TemporaryFolder folder;
  write_biographies(small_options(5), folder.path());
  BiographyOptions options = small_options(5);
  options.new_people = 2;
  write_biographies(options, folder.path());
  EXPECT_EQ(read_facts(Dataset(folder.path()).facts_path()).size(), 8u);
  EXPECT_EQ(folder.files(), 10);
}

TEST(Biographies, ImpossibleOptionsLeaveTheFolderAlone) {
  const TemporaryFolder folder;
  const auto refusal = [&](auto change) {
    BiographyOptions options = small_options(1);
    change(options);
    return user_error_of([&] { write_biographies(options, folder / "out"); });
  };
  EXPECT_TRUE(
      contains(refusal([](auto& o) { o.old_people = 33; }), "36 people need as many names"));
  EXPECT_TRUE(contains(refusal([](auto& o) { o.fully_questioned_people = 11; }),
                       "old_people must be at least 13, got 12"));
  EXPECT_TRUE(contains(refusal([](auto& o) { o.new_people = 1; }), "new_people"));
  EXPECT_TRUE(contains(refusal([](auto& o) { o.values = 0; }), "values"));
  EXPECT_TRUE(contains(refusal([](auto& o) { o.text_weight = 0; }), "weights"));
  EXPECT_EQ(folder.files(), 0);
  folder.write("out", "a file");
  EXPECT_TRUE(contains(refusal([](auto&) {}), "cannot create folder"));
}

}  // namespace
}  // namespace slotwise
