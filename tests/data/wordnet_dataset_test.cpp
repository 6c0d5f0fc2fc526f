// Facts about nouns and the dataset made of them: what is true, who is asked, and that nothing that
// is tested was trained.
#include "data/wordnet_dataset.h"

#include <map>
#include <nlohmann/json.hpp>
#include <set>

#include "core/files.h"
#include "data/dataset.h"
#include "data/fact_stream.h"
#include "data/questions.h"
#include "data/tokenizer.h"
#include "data/wordnet_facts.h"
#include "tests/data/temporary_folder.h"
#include "tests/data/tiny_wordnet.h"
#include "train/pareto_backgrounds.h"

namespace slotwise {
namespace {

using nlohmann::json;

WordNetOptions tiny_options(const std::filesystem::path& wordnet, std::uint64_t seed) {
  return {.seed = seed,
          .wordnet = wordnet,
          .vocabulary = 200,
          .old_nouns = 16,
          .fully_questioned_nouns = 8,
          .new_nouns = 4,
          .least_facts = 3,
          .least_uses = 3,
          .longest_definition = 8,
          .longest_sentence = 12,
          .largest_share = 0.5,
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

std::string noun_of(const std::string& id) {
  return id.substr(0, id.find('/'));
}

std::string relation_of(const std::string& id) {
  const std::string rest = id.substr(id.find('/') + 1);
  return rest.substr(0, rest.find('/'));
}

// What holds of every dataset of this kind, whatever WordNet it was made of.
void check_nothing_tested_was_trained(const Dataset& dataset) {
  std::set<std::string> trained, facts_trained;
  for (const MixturePart& part : dataset.parts()) {
    for (const std::string& text : texts_of(dataset, *part.shard)) {
      trained.insert(text);
      if (part.name != "text") facts_trained.insert(text);
    }
  }
  std::set<std::string> taught, new_nouns;
  for (const Fact& fact : read_facts(dataset.facts_path())) {
    EXPECT_EQ(fact.wordings.size(), 13u);
    new_nouns.insert(noun_of(fact.id));
    taught.insert(fact.wordings.begin(), fact.wordings.end());
  }
  for (const std::string& text : taught) EXPECT_FALSE(trained.contains(text)) << text;
  std::map<std::string, std::string> last_wording;
  for (const WordNetWordings& wordings : kWordNetWordings) {
    last_wording[wordings.relation] = wordings.questions.back();
  }
  std::map<std::string, int> seen_with_others;
  for (const char* role : {"old", "new"}) {
    for (const Question& question : read_questions(dataset.questions_path(role))) {
      const std::string full = question.text + " " + question.answers.at(0) + " .";
      EXPECT_FALSE(trained.contains(full) || taught.contains(full)) << full;
      EXPECT_EQ(new_nouns.contains(noun_of(question.id)), std::string(role) == "new");
      // The wording itself is the last one, with the words around its subject.
      const std::string& wording = last_wording.at(relation_of(question.id));
      const std::size_t subject = wording.find("S ");
      EXPECT_TRUE(question.text.starts_with(wording.substr(0, subject))) << full;
      EXPECT_TRUE(question.text.ends_with(" ?")) << full;
      const std::string after = wording.substr(subject + 1, wording.find(" A .") - subject - 1);
      EXPECT_TRUE(question.text.ends_with(after)) << full;
      if (seen_with_others.contains(relation_of(question.id))) continue;
      int& others = seen_with_others[relation_of(question.id)];
      for (const std::string& text : facts_trained) {
        others += text.starts_with(wording.substr(0, subject)) && contains(text, after + " ");
      }
    }
  }
  for (const char* relation : {"category", "kind"}) EXPECT_GT(seen_with_others[relation], 0);
  // Old facts are silent about new nouns: none is the answer of one.
  for (const MixturePart& part : dataset.parts()) {
    if (part.name == "text") continue;
    for (const std::string& text : texts_of(dataset, *part.shard)) {
      const std::size_t end = text.rfind(" .");
      const std::size_t begin = text.rfind(' ', end - 1) + 1;
      EXPECT_FALSE(new_nouns.contains(text.substr(begin, end - begin))) << text;
    }
  }
  for (const std::string& sentence : texts_of(dataset, dataset.heldout_text())) {
    EXPECT_FALSE(trained.contains(sentence)) << sentence;
  }
}

class WordNetDatasetTest : public testing::Test {
 protected:
  WordNetDatasetTest() { write_tiny_wordnet(wordnet_); }
  std::vector<FactNoun> askable(const NounLimits& limits) const {
    const GlossText text(wordnet_.path(), {.vocabulary = 200, .longest = 12});
    return askable_nouns(WordNetNouns(wordnet_.path()), text, limits);
  }
  TemporaryFolder wordnet_, out_;
};

TEST_F(WordNetDatasetTest, FactsAreThoseOfTheSynset) {
  const auto nouns = askable({.least_facts = 2, .least_uses = 3, .longest_definition = 8});
  EXPECT_EQ(nouns.size(), 40u);  // not the proper one, the untagged one, the kinds, the root
  std::map<std::string, std::map<int, NounFact>> facts;
  for (const FactNoun& noun : nouns) {
    for (const NounFact& fact : noun.facts) facts[noun.noun][fact.relation] = fact;
  }
  auto& third = facts.at(tiny_noun(3));  // the fourth kind; has a synonym; "the small place ..."
  EXPECT_EQ(third.size(), 5u);
  EXPECT_EQ(third.at(kSenses).answer, "one");
  EXPECT_EQ(third.at(kCategory).answer, "location");
  EXPECT_EQ(third.at(kKind).answer, "place");
  EXPECT_EQ(third.at(kSynonym).answer, "other" + tiny_noun(3));
  EXPECT_EQ(third.at(kMeaning).subject, "the small place of them all");
  EXPECT_EQ(third.at(kMeaning).answer, tiny_noun(3));
  EXPECT_EQ(facts.at(tiny_noun(1)).at(kPart).answer, tiny_noun(8));
  EXPECT_EQ(facts.at(tiny_noun(2)).at(kExample).answer, tiny_noun(9));
  EXPECT_EQ(facts.at(tiny_noun(5)).at(kWhole).answer, tiny_noun(12));
  for (const auto& [noun, of_noun] : facts) {
    for (const auto& [relation, fact] : of_noun) {
      EXPECT_EQ(fact.subject == noun, relation != kMeaning) << noun;
    }
  }
  EXPECT_EQ(askable({.least_facts = 2, .least_uses = 99}).size(), 0u);
  EXPECT_EQ(askable({.least_facts = 5, .longest_definition = 3}).size(), 0u);
}

TEST_F(WordNetDatasetTest, KindsAreLookedForFurtherUp) {
  const TemporaryFolder folder;
  write_tiny_wordnet(folder);
  std::vector<TinySynset> synsets = tiny_nouns();
  // The nouns of the first kind get a step between that the text does not know.
  synsets.push_back({5, {"Unknown_step"}, {{"@", 1}}, "a step"});
  for (TinySynset& synset : synsets) {
    if (synset.words[0] == tiny_noun(0)) synset.pointers[0].second = synsets.size() - 1;
  }
  const auto [data, offsets] = wordnet_data_text(synsets, 'n');
  folder.write("data.noun", data);
  folder.write("index.noun", wordnet_index_text(synsets, offsets));
  const GlossText text(folder.path(), {.vocabulary = 200, .longest = 12});
  for (const FactNoun& noun : askable_nouns(WordNetNouns(folder.path()), text, {})) {
    if (noun.noun != tiny_noun(0)) continue;
    EXPECT_EQ(noun.facts.at(2).answer, "beast");
    return;
  }
  ADD_FAILURE() << "the noun is not asked about";
}

TEST_F(WordNetDatasetTest, ChoiceKeepsOldAndNewApart) {
  const auto nouns = askable({.least_facts = 3, .least_uses = 3, .longest_definition = 8});
  const auto [old_nouns, new_nouns] =
      choose_nouns(nouns, {.seed = 1, .old_nouns = 20, .new_nouns = 4, .largest_share = 0.3});
  ASSERT_EQ(old_nouns.size(), 20u);
  ASSERT_EQ(new_nouns.size(), 4u);
  std::set<std::string> known, answers;
  std::map<std::pair<int, std::string>, int> counts;
  for (const FactNoun& noun : old_nouns) {
    known.insert(noun.noun);
    for (const NounFact& fact : noun.facts) {
      answers.insert(fact.answer);
      EXPECT_LE(++counts[std::pair(static_cast<int>(fact.relation), fact.answer)], 6);
    }
  }
  for (const FactNoun& noun : new_nouns) {
    EXPECT_FALSE(known.contains(noun.noun) || answers.contains(noun.noun)) << noun.noun;
    EXPECT_GE(noun.facts.size(), 3u);
    for (const NounFact& fact : noun.facts) {
      EXPECT_GE((counts[{static_cast<int>(fact.relation), fact.answer}]), 2) << fact.answer;
    }
  }
  EXPECT_TRUE(contains(
      user_error_of([&] { choose_nouns(nouns, {.seed = 1, .old_nouns = 90, .new_nouns = 5}); }),
      "old nouns fit where 90 are wanted"));
  EXPECT_TRUE(contains(
      user_error_of([&] { choose_nouns(nouns, {.seed = 1, .old_nouns = 30, .new_nouns = 30}); }),
      "new nouns fit where 30 are wanted"));
}

TEST(WordNetFacts, MajorityCountsTheMostFrequentAnswer) {
  const auto noun = [](const char* name, const char* kind) {
    return FactNoun{name, "", {{kCategory, name, "animal"}, {kKind, name, kind}}};
  };
  const std::vector<FactNoun> known = {noun("a", "pet"), noun("b", "pet"), noun("c", "bird")};
  EXPECT_DOUBLE_EQ(majority_share(known, {noun("d", "pet")}), 1.0);
  EXPECT_DOUBLE_EQ(majority_share(known, {noun("d", "pet"), noun("e", "bird")}), 0.75);
  EXPECT_DOUBLE_EQ(majority_share(known, {}), 0.0);
}

TEST(WordNetFacts, WordingsEndWithTheAnswer) {
  const NounFact fact{kKind, "dog", "animal"};
  EXPECT_EQ(fact_sentence(fact, "S is a kind of A ."), "dog is a kind of animal .");
  EXPECT_EQ(fact_prompt(fact, "S is a kind of what ? A ."), "dog is a kind of what ?");
  std::set<std::string> all;
  for (const WordNetWordings& wordings : kWordNetWordings) {
    for (const std::string wording : wordings.statements) {
      EXPECT_TRUE(wording.ends_with(" A .")) << wording;
      EXPECT_TRUE(all.insert(wording).second) << wording;
    }
    for (const std::string wording : wordings.questions) {
      EXPECT_TRUE(wording.ends_with(" ? A .")) << wording;
      EXPECT_TRUE(all.insert(wording).second) << wording;
    }
  }
  EXPECT_STREQ(kWordNetWordings[kMeaning].relation, "meaning");
  EXPECT_STREQ(kWordNetWordings[kWhole].relation, "whole");
}

TEST_F(WordNetDatasetTest, TestedWordingsAreNeverTrained) {
  for (const std::uint64_t seed : {1, 2}) {
    write_wordnet(tiny_options(wordnet_.path(), seed), out_.path());
    const Dataset dataset(out_.path());
    dataset.verify();
    check_nothing_tested_was_trained(dataset);
    EXPECT_EQ(dataset.heldout_text().sequences(), 9);
  }
}

TEST_F(WordNetDatasetTest, HalvesAreWholeNouns) {
  write_wordnet(tiny_options(wordnet_.path(), 3), out_.path());
  const Dataset dataset(out_.path());
  for (const auto& [role, nouns] : {std::pair{"old", 4u}, {"new", 2u}}) {
    std::set<std::string> of_half[2];
    for (const Question& question : read_questions(dataset.questions_path(role))) {
      of_half[question.half.value()].insert(noun_of(question.id));
    }
    EXPECT_EQ(of_half[0].size(), nouns);
    EXPECT_EQ(of_half[1].size(), nouns);
    for (const std::string& noun : of_half[0]) EXPECT_FALSE(of_half[1].contains(noun));
  }
}

TEST_F(WordNetDatasetTest, DefinitionsOfAskedNounsAreNoText) {
  write_wordnet(tiny_options(wordnet_.path(), 3), out_.path());
  const Dataset dataset(out_.path());
  std::set<std::string> asked;
  for (const char* role : {"old", "new"}) {
    for (const Question& question : read_questions(dataset.questions_path(role))) {
      asked.insert(noun_of(question.id));
    }
  }
  std::vector<std::string> text = texts_of(dataset, *dataset.parts()[2].shard);
  for (const std::string& sentence : texts_of(dataset, dataset.heldout_text())) {
    text.push_back(sentence);
  }
  int others = 0;
  for (const std::string& sentence : text) {
    if (!sentence.ends_with(" was there .")) continue;  // the example of a noun's own synset
    const std::string noun = sentence.substr(4, sentence.find(' ', 4) - 4);
    EXPECT_FALSE(asked.contains(noun)) << sentence;
    ++others;
  }
  EXPECT_GT(others, 0);
}

TEST_F(WordNetDatasetTest, SameSeedSameBytesOtherSeedOtherNouns) {
  for (const auto& [name, seed] : {std::pair{"a", 5}, {"b", 5}, {"c", 6}}) {
    write_wordnet(tiny_options(wordnet_.path(), static_cast<std::uint64_t>(seed)), out_ / name);
  }
  int different = 0, files = 0;
  for (const auto& entry : std::filesystem::directory_iterator(out_ / "a")) {
    const auto name = entry.path().filename();
    EXPECT_EQ(read_file(out_ / "a" / name), read_file(out_ / "b" / name)) << name;
    different += read_file(out_ / "a" / name) != read_file(out_ / "c" / name);
    ++files;
  }
  EXPECT_EQ(files, 9);
  EXPECT_EQ(different, 8);  // all but the tokenizer
}

TEST_F(WordNetDatasetTest, ImpossibleOptionsLeaveTheFolderAlone) {
  const auto refusal = [&](auto change) {
    WordNetOptions options = tiny_options(wordnet_.path(), 1);
    change(options);
    return user_error_of([&] { write_wordnet(options, out_ / "out"); });
  };
  EXPECT_TRUE(contains(refusal([](auto& o) { o.old_nouns = 9; }), "old_nouns must be at least 10"));
  EXPECT_TRUE(contains(refusal([](auto& o) { o.new_nouns = 1; }), "new_nouns"));
  EXPECT_TRUE(contains(refusal([](auto& o) { o.largest_share = 0; }), "largest_share"));
  EXPECT_TRUE(contains(refusal([](auto& o) { o.text_weight = 0; }), "weights"));
  EXPECT_TRUE(contains(refusal([](auto& o) { o.heldout_sentences = 9999; }), "too few to hold"));
  EXPECT_TRUE(contains(refusal([](auto& o) { o.least_facts = 7; }), "old nouns fit where 16"));
  EXPECT_TRUE(contains(refusal([](auto& o) { o.wordnet = "nowhere"; }), "wordnet-base"));
  EXPECT_EQ(out_.files(), 0);
}

// The package itself, with the preset's numbers.
TEST(WordNetPackage, DefaultsMakeTheDatasetOfThePreset) {
  const WordNetOptions options{.seed = 3};
  if (!std::filesystem::exists(options.wordnet / "data.noun")) {
    GTEST_SKIP() << "the package wordnet-base is not installed";
  }
  const TemporaryFolder folder;
  write_wordnet(options, folder.path());
  const Dataset dataset(folder.path());
  check_nothing_tested_was_trained(dataset);
  EXPECT_GE(read_facts(dataset.facts_path()).size(), 3u * 20u);
  EXPECT_GE(read_questions(dataset.questions_path("old")).size(), 4u * 96u);
  EXPECT_GT(dataset.parts()[2].shard->sequences(), 10'000);
  for (const MixturePart& part : dataset.parts()) EXPECT_LE(part.shard->longest_sequence(), 20);
  const json made = json::parse(dataset.manifest().options);
  EXPECT_LE(made.at("majority_old"), 0.15);  // largest_share
  EXPECT_LE(made.at("majority_new"), 0.2);
}

TEST(WordNetDataset, HasTheNamesThatASweepLooksFor) {
  const TemporaryFolder folder;
  write_tiny_wordnet(folder);
  write_wordnet(tiny_options(folder.path(), 3), folder / "made");
  const json settings = {{"data", {{"kind", "wordnet"}}}};
  const DatasetNames known = names_to_be_made(Options::from_json(settings));
  const DatasetNames made = names_in(folder / "made");
  EXPECT_EQ(known.parts, made.parts);
  EXPECT_EQ(known.questions, made.questions);
  EXPECT_EQ(known.facts, made.facts);
}

}  // namespace
}  // namespace slotwise
