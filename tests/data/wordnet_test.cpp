// The reader of WordNet's files and the text of its glosses.
#include "data/wordnet.h"

#include <algorithm>

#include "data/wordnet_text.h"
#include "tests/data/temporary_folder.h"
#include "tests/data/tiny_wordnet.h"

namespace slotwise {
namespace {

using Texts = std::vector<std::string>;

TEST(WordNet, ReadsSynsets) {
  const TemporaryFolder folder;
  const auto path = folder.write(
      "data.noun",
      "  1 licence | with a bar  \n"
      "02084071 05 n 03 dog 0 domestic_dog 0 Canis_familiaris 1 003 @ 02083346 n 0000 "
      "#m 07994941 n 0000 + 00692347 v 0101 | a member of the \"genus\" Canis; many breeds; "
      "\"the dog barked all night\"; \"a dog; it ran\" - Anon.  \n"
      "00000200 03 n 0a a 0 b 0 c 0 d 0 e 0 f 0 g 0 h 0 i 0 j 0 000 | \"only an example\"\n");
  const auto synsets = read_wordnet_data(path);
  ASSERT_EQ(synsets.size(), 2u);
  const WordNetSynset& dog = synsets[0];
  EXPECT_EQ(dog.offset, "02084071");
  EXPECT_EQ(noun_category(dog.lexicographer_file), "animal");
  EXPECT_EQ(dog.words, (Texts{"dog", "domestic_dog", "Canis_familiaris"}));
  ASSERT_EQ(dog.pointers.size(), 3u);
  EXPECT_EQ(dog.pointers[1].symbol, "#m");
  EXPECT_EQ(dog.pointers[1].target, "07994941");
  EXPECT_EQ(dog.pointers[2].part_of_speech, 'v');
  EXPECT_EQ(dog.definition, "a member of the \"genus\" Canis; many breeds");
  EXPECT_EQ(dog.examples, (Texts{"the dog barked all night", "a dog; it ran"}));
  EXPECT_EQ(synsets[1].words.size(), 10u);  // the count is hexadecimal
  EXPECT_EQ(synsets[1].definition, "");
  EXPECT_EQ(synsets[1].examples, Texts{"only an example"});
}

TEST(WordNet, ReadsTheIndex) {
  const TemporaryFolder folder;
  const auto path = folder.write("index.noun",
                                 "  1 licence\n"
                                 "dog n 3 5 @ ~ #m #p %p 3 2 02084071 10114209 10023039  \n");
  const auto lemmas = read_wordnet_index(path);
  ASSERT_EQ(lemmas.size(), 1u);
  EXPECT_EQ(lemmas[0].lemma, "dog");
  EXPECT_EQ(lemmas[0].tagged_senses, 2);
  EXPECT_EQ(lemmas[0].offsets, (Texts{"02084071", "10114209", "10023039"}));
}

TEST(WordNet, CategoriesAreTheLexicographerFiles) {
  EXPECT_EQ(noun_category(3), "Tops");
  EXPECT_EQ(noun_category(4), "act");
  EXPECT_EQ(noun_category(18), "person");
  EXPECT_EQ(noun_category(28), "time");
  EXPECT_EQ(noun_category(2), "");
  EXPECT_EQ(noun_category(29), "");
}

TEST(WordNet, RefusesDamagedFilesByNameAndLine) {
  const TemporaryFolder folder;
  const auto refusal = [&](const char* text) {
    const auto path = folder.write("data.noun", std::string("  1 licence\n") + text + "\n");
    return user_error_of([&] { read_wordnet_data(path); });
  };
  EXPECT_TRUE(
      contains(refusal("00000012 05 n 01 dog 0 000"), "data.noun, line 2: a synset without"));
  EXPECT_TRUE(contains(refusal("00000012 05 n 02 dog 0 000 | a pet"), "line 2: the line ends"));
  EXPECT_TRUE(contains(refusal("00000012 05 n 01 dog 0 002 @ 1 n 0000 | a pet"), "ends too early"));
  EXPECT_TRUE(contains(refusal("00000012 x5 n 01 dog 0 000 | a pet"), "found \"x5\""));
}

TEST(WordNet, MissingFilesSayWhatToInstall) {
  const TemporaryFolder folder;
  write_tiny_wordnet(folder);
  EXPECT_EQ(wordnet_files(folder.path()).size(), 5u);
  std::filesystem::remove(folder / "data.adv");
  const std::string message = user_error_of([&] { wordnet_files(folder.path()); });
  for (const char* part : {"data.adv", "wordnet-base", "data.wordnet=PATH"}) {
    EXPECT_TRUE(contains(message, part)) << message;
  }
}

TEST(WordNet, PointersLeadToSynsets) {
  const TemporaryFolder folder;
  write_tiny_wordnet(folder);
  const WordNetNouns nouns(folder.path());
  EXPECT_EQ(nouns.synsets().size(), tiny_nouns().size());
  const WordNetSynset& noun = nouns.synset(nouns.lemmas()[5].offsets[0]);
  EXPECT_EQ(noun.words[0], tiny_noun(0));
  EXPECT_EQ(nouns.synset(noun.pointers[0].target).words[0], "beast");
  EXPECT_TRUE(contains(user_error_of([&] { nouns.synset("99999999"); }), "has no synset 99999999"));
}

TEST(GlossText, CutsGlossesIntoLowerCaseWords) {
  EXPECT_EQ(joined(gloss_words("The dog's (old) well-made kennel, 2nd-best; -x")),
            "the dog's ( old ) well-made kennel , 2nd-best ; - x");
  EXPECT_EQ(gloss_words("caf\xc3\xa9 au lait"), Texts{});
  EXPECT_EQ(gloss_words(""), Texts{});
}

TEST(GlossText, KeepsSentencesOfFrequentWordsOnce) {
  const TemporaryFolder folder;
  write_tiny_wordnet(folder);
  folder.write("data.adj", wordnet_data_text({{0, {"a"}, {}, "big big cat; \"a rare big cat\""},
                                              {0, {"b"}, {}, "big big cat"},
                                              {0, {"c"}, {}, "big cat"}},
                                             'a')
                               .first);
  for (const char* name : {"data.noun", "data.verb", "data.adv"}) folder.write(name, "");
  const GlossText two(folder.path(), {.vocabulary = 2, .longest = 4});
  EXPECT_EQ(two.vocabulary(), (Texts{"big", "cat"}));
  EXPECT_TRUE(two.knows("big") && !two.knows("rare"));
  ASSERT_EQ(two.sentences().size(), 1u);  // "big cat" is too short, the other is there already
  EXPECT_EQ(joined(two.sentences()[0].words), "big big cat");
  const GlossText all(folder.path(), {.vocabulary = 9, .longest = 4});
  EXPECT_EQ(all.vocabulary(), (Texts{"big", "cat", "a", "rare"}));
  EXPECT_EQ(all.sentences().size(), 2u);
  EXPECT_EQ(GlossText(folder.path(), {.vocabulary = 9, .longest = 3}).sentences().size(), 1u);
}

}  // namespace
}  // namespace slotwise
