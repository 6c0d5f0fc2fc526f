#include "data/fact_stream.h"

#include <algorithm>
#include <map>
#include <set>

#include "data/tokenizer.h"
#include "tests/data/temporary_folder.h"

namespace slotwise {
namespace {

using Ids = std::vector<std::int32_t>;

std::unique_ptr<Tokenizer> tokenizer(bool with_end) {
  std::vector<std::string> words = {"<pad>", "<bos>", "<eos>"};
  for (int i = 0; i < 100; ++i) words.push_back(fmt::format("w{}", i));
  SpecialTokens special{.pad = 0, .bos = 1, .eos = {}, .unknown = {}};
  if (with_end) special.eos = 2;
  return make_word_level(words, special);
}

// Fact f has `wordings` texts "w<f> w<wording>".
std::vector<Fact> facts(int count, int wordings) {
  std::vector<Fact> out;
  for (int f = 0; f < count; ++f) {
    out.push_back({fmt::format("fact{}", f), {}, ""});
    for (int w = 0; w < wordings; ++w) out.back().wordings.push_back(fmt::format("w{} w{}", f, w));
  }
  return out;
}

TEST(FactStream, AnEpochVisitsEveryFactOnceInItsOwnOrder) {
  const FactStream stream(facts(10, 3), *tokenizer(false),
                          {.seed = 4, .facts_per_batch = 4, .wordings_per_fact = 2});
  EXPECT_EQ(stream.batches_per_epoch(), 3);
  std::vector<std::vector<std::int64_t>> orders;
  for (std::int64_t epoch = 0; epoch < 4; ++epoch) {
    std::vector<std::int64_t> order;
    for (std::int64_t b = 0; b < 3; ++b) {
      const auto batch = stream.facts_of_batch(epoch * 3 + b);
      EXPECT_EQ(batch.size(), b < 2 ? 4u : 2u);
      order.insert(order.end(), batch.begin(), batch.end());
    }
    orders.push_back(order);
    std::sort(order.begin(), order.end());
    for (std::int64_t f = 0; f < 10; ++f) EXPECT_EQ(order[static_cast<std::size_t>(f)], f);
  }
  EXPECT_EQ(std::set(orders.begin(), orders.end()).size(), 4u);
}

TEST(FactStream, InOrderEveryEpochIsTheFile) {
  const FactStream stream(
      facts(5, 1), *tokenizer(false),
      {.seed = 4, .facts_per_batch = 2, .wordings_per_fact = 1, .in_order = true});
  using Facts = std::vector<std::int64_t>;
  for (const std::int64_t epoch : {0, 1}) {
    EXPECT_EQ(stream.facts_of_batch(3 * epoch), (Facts{0, 1}));
    EXPECT_EQ(stream.facts_of_batch(3 * epoch + 1), (Facts{2, 3}));
    EXPECT_EQ(stream.facts_of_batch(3 * epoch + 2), (Facts{4}));
  }
}

TEST(FactStream, RowsAreDistinctWordingsOfTheFact) {
  const FactStream stream(facts(6, 5), *tokenizer(false),
                          {.seed = 1, .facts_per_batch = 2, .wordings_per_fact = 3});
  std::set<Ids> seen;
  for (std::int64_t index = 0; index < 60; ++index) {
    const auto rows = stream.sequences(index);
    const auto chosen = stream.facts_of_batch(index);
    ASSERT_EQ(rows.size(), 6u);
    for (std::size_t r = 0; r < rows.size(); ++r) {
      ASSERT_EQ(rows[r].size(), 3u);
      EXPECT_EQ(rows[r][0], 1);
      EXPECT_EQ(rows[r][1], 3 + chosen[r / 3]);
      seen.insert(rows[r]);
    }
    EXPECT_EQ(std::set(rows.begin(), rows.end()).size(), 6u);
  }
  EXPECT_EQ(seen.size(), 30u);  // every wording of every fact comes up
}

TEST(FactStream, FewerWordingsThanAskedAreAllTakenThenRepeated) {
  const FactStream stream(facts(1, 3), *tokenizer(false),
                          {.seed = 1, .facts_per_batch = 4, .wordings_per_fact = 7});
  std::map<Ids, int> count;
  for (const Ids& row : stream.sequences(12)) ++count[row];
  ASSERT_EQ(count.size(), 3u);
  for (const auto& [row, times] : count) EXPECT_TRUE(times == 2 || times == 3);
}

TEST(FactStream, ABatchDependsOnSeedAndIndexAlone) {
  const FactStreamOptions options{.seed = 9, .facts_per_batch = 3, .wordings_per_fact = 4};
  const FactStream stream(facts(7, 6), *tokenizer(false), options);
  const auto batch = stream.sequences(41);
  stream.sequences(2);
  EXPECT_EQ(stream.sequences(41), batch);
  EXPECT_EQ(FactStream(facts(7, 6), *tokenizer(false), options).sequences(41), batch);
  FactStreamOptions other = options;
  other.seed = 10;
  EXPECT_NE(FactStream(facts(7, 6), *tokenizer(false), other).sequences(41), batch);
  EXPECT_EQ(stream.batch(40).valid_tokens, 3 * 4 * 2);
  EXPECT_EQ(stream.batch(41).valid_tokens, 1 * 4 * 2);  // the last fact of an epoch
}

TEST(FactStream, EndOfTextAndLengthLimit) {
  FactStreamOptions options{.append_eos = true, .max_tokens = 4};
  const FactStream stream(facts(1, 1), *tokenizer(true), options);
  EXPECT_EQ(stream.wordings(0)[0], (Ids{1, 3, 3, 2}));
  EXPECT_EQ(stream.id(0), "fact0");
  options.max_tokens = 3;
  EXPECT_TRUE(contains(user_error_of([&] { FactStream(facts(1, 1), *tokenizer(true), options); }),
                       "fact fact0 has 4 tokens, the limit is 3"));
  EXPECT_TRUE(contains(user_error_of([&] { FactStream(facts(1, 1), *tokenizer(false), options); }),
                       "the tokenizer has none"));
}

TEST(FactStream, LossOnAnswersStartsAtTheAnswer) {
  const std::vector<Fact> facts = {
      {"a", {"w1 w2 w9 w8", "w9 w8 w1 w2", "w3 w9 w8", "w9 w8 w4 w9 w8"}, "w9 w8"}};
  FactStreamOptions options{.facts_per_batch = 1, .wordings_per_fact = 3};
  options.loss_on_answers = true;
  const FactStream stream(facts, *tokenizer(true), options);
  // The second wording goes on after the answer: it is left out.
  ASSERT_EQ(stream.wordings(0).size(), 3u);
  EXPECT_EQ(stream.first_loss(0, 0), 3);
  EXPECT_EQ(stream.first_loss(0, 1), 2);
  EXPECT_EQ(stream.first_loss(0, 2), 4);  // the last place counts
  const TokenBatch batch = stream.batch(0);
  const auto rows = stream.sequences(0);
  EXPECT_EQ(batch.valid_tokens, 3 * 2);
  std::int64_t valid = 0;
  for (std::size_t row = 0; row < rows.size(); ++row) {
    for (std::int64_t t = 0; t < batch.targets.size(1); ++t) {
      const auto target = batch.targets.span<std::int32_t>()[row * batch.targets.size(1) + t];
      if (target < 0) continue;
      EXPECT_EQ(target, rows[row][static_cast<std::size_t>(t) + 1]);
      EXPECT_TRUE(target == 3 + 9 || target == 3 + 8);
      ++valid;
    }
  }
  EXPECT_EQ(valid, 6);

  // The w1 of "w11" is no answer "w1".
  const FactStream whole({{"b", {"w2 w11", "w2 w1"}, "w1"}}, *tokenizer(true), options);
  ASSERT_EQ(whole.wordings(0).size(), 1u);
  EXPECT_EQ(whole.wordings(0)[0].back(), 3 + 1);

  options.append_eos = true;
  EXPECT_EQ(FactStream(facts, *tokenizer(true), options).batch(0).valid_tokens, 3 * 3);
  options.loss_on_answers = false;
  EXPECT_EQ(FactStream(facts, *tokenizer(true), options).first_loss(0, 0), 1);
  options.loss_on_answers = true;
  EXPECT_TRUE(contains(user_error_of([&] {
                         FactStream({{"a", {"w9 w1"}, "w9"}}, *tokenizer(true), options);
                       }),
                       "no wording of fact a ends with its answer"));
  EXPECT_TRUE(contains(user_error_of([&] {
                         FactStream({{"a", {"w9 w1"}, ""}}, *tokenizer(true), options);
                       }),
                       "has no \"answer\""));
}

TEST(FactStream, ReadsFactsAndNamesTheBrokenLine) {
  const TemporaryFolder folder;
  const auto path = folder.write("facts.jsonl",
                                 "{\"id\": \"a\", \"wordings\": [\"w1 w2\", \"w3\"]}\n"
                                 "{\"id\": \"b\", \"wordings\": [\"w4\"]}\n");
  const auto read = read_facts(path);
  ASSERT_EQ(read.size(), 2u);
  EXPECT_EQ(read[0].wordings, (std::vector<std::string>{"w1 w2", "w3"}));
  EXPECT_EQ(read[1].id, "b");
  folder.write("facts.jsonl", "{\"id\": \"a\", \"wordings\": [\"w1\"]}\n{\"id\": \"b\"}\n");
  EXPECT_TRUE(contains(user_error_of([&] { read_facts(path); }), "line 2: the field \"wordings\""));
  folder.write("facts.jsonl", "");
  EXPECT_TRUE(contains(user_error_of([&] { read_facts(path); }), "holds no facts"));
}

}  // namespace
}  // namespace slotwise
