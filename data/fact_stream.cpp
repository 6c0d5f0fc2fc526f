#include "data/fact_stream.h"

#include <algorithm>
#include <cctype>
#include <nlohmann/json.hpp>
#include <numeric>

#include "core/random.h"
#include "data/json_lines.h"
#include "data/tokenizer.h"

namespace slotwise {
namespace {

std::vector<std::int32_t> encode_wording(const std::string& text, const std::string& id,
                                         const Tokenizer& tokenizer,
                                         const FactStreamOptions& options) {
  const SpecialTokens& special = tokenizer.special();
  std::vector<std::int32_t> tokens = tokenizer.encode(text);
  if (special.bos) tokens.insert(tokens.begin(), *special.bos);
  if (options.append_eos) {
    if (!special.eos) user_error("facts shall end with end-of-text, but the tokenizer has none");
    tokens.push_back(*special.eos);
  }
  if (options.max_tokens > 0 && tokens.size() > static_cast<std::size_t>(options.max_tokens)) {
    user_error("a wording of fact {} has {} tokens, the limit is {}: shorten it or raise the limit",
               id, tokens.size(), options.max_tokens);
  }
  if (tokens.size() < 2) user_error("a wording of fact {} has nothing to learn: \"{}\"", id, text);
  return tokens;
}

// A byte that belongs to a word: the 3 of "2013" is not the answer "3".
bool in_word(const std::string& text, std::size_t at) {
  const auto byte = at < text.size() ? static_cast<unsigned char>(text[at]) : ' ';
  return std::isalnum(byte) != 0 || byte >= 0x80;
}

// Where the answer begins at the end of a wording; npos where something else ends it.
std::size_t answer_begin(const std::string& text, const std::string& answer) {
  const std::size_t at = text.rfind(answer);
  if (at == text.npos || at == 0) return text.npos;
  const std::size_t end = at + answer.size();
  if (text.size() - end > FactStream::kAfterAnswer) return text.npos;
  const bool cuts_a_word = (in_word(text, at - 1) && in_word(text, at)) ||
                           (in_word(text, end - 1) && in_word(text, end));
  return cuts_a_word ? text.npos : at;
}

// Index of the answer's first token. The white space before a word is part of its token.
std::int64_t first_answer_token(const std::string& text, std::size_t begin,
                                const Tokenizer& tokenizer) {
  if (begin > 0 && text[begin - 1] == ' ') --begin;
  const auto before = tokenizer.encode(std::string_view(text).substr(0, begin)).size();
  return static_cast<std::int64_t>(before) + (tokenizer.special().bos ? 1 : 0);
}

}  // namespace

std::vector<Fact> read_facts(const std::filesystem::path& path) {
  std::vector<Fact> facts;
  read_json_lines(path, [&](const nlohmann::json& row, std::int64_t) {
    facts.push_back({text_field(row, "id"), texts_field(row, "wordings"),
                     row.contains("answer") ? text_field(row, "answer") : ""});
  });
  if (facts.empty()) user_error("{} holds no facts", path.string());
  return facts;
}

FactStream::FactStream(const std::vector<Fact>& facts, const Tokenizer& tokenizer,
                       const FactStreamOptions& options)
    : options_(options) {
  SLOTWISE_CHECK(!facts.empty(), "[fact_stream] expected at least one fact, got none");
  SLOTWISE_CHECK(options.facts_per_batch >= 1 && options.wordings_per_fact >= 1,
                 "[fact_stream] expected at least 1 fact and 1 wording a batch, got {} and {}",
                 options.facts_per_batch, options.wordings_per_fact);
  pad_id_ = tokenizer.special().pad.value_or(0);
  for (const Fact& fact : facts) {
    SLOTWISE_CHECK(!fact.wordings.empty(), "[fact_stream] fact {} has no wording", fact.id);
    ids_.push_back(fact.id);
    if (options.loss_on_answers && fact.answer.empty()) {
      user_error("the loss shall be on answers, but fact {} has no \"answer\"", fact.id);
    }
    auto& encoded = encoded_.emplace_back();
    auto& first_loss = first_loss_.emplace_back();
    for (const std::string& text : fact.wordings) {
      std::vector<std::int32_t> tokens = encode_wording(text, fact.id, tokenizer, options);
      std::int64_t first = 1;
      if (options.loss_on_answers) {
        const std::size_t begin = answer_begin(text, fact.answer);
        if (begin == text.npos) continue;
        first = std::max<std::int64_t>(1, first_answer_token(text, begin, tokenizer));
        // A text cut before its answer may take more tokens than the whole.
        if (first >= static_cast<std::int64_t>(tokens.size())) continue;
      }
      encoded.push_back(std::move(tokens));
      first_loss.push_back(first);
    }
    if (encoded.empty()) {
      user_error("no wording of fact {} ends with its answer \"{}\"", fact.id, fact.answer);
    }
  }
}

std::int64_t FactStream::batches_per_epoch() const {
  return (facts() + options_.facts_per_batch - 1) / options_.facts_per_batch;
}

std::int64_t FactStream::fewest_rows() const {
  const std::int64_t rest = facts() % options_.facts_per_batch;
  return (rest > 0 ? rest : options_.facts_per_batch) * options_.wordings_per_fact;
}

std::int64_t FactStream::longest_wording() const {
  std::size_t longest = 0;
  for (const auto& fact : encoded_) {
    for (const auto& wording : fact) longest = std::max(longest, wording.size());
  }
  return static_cast<std::int64_t>(longest);
}

void FactStream::order_epoch(std::int64_t epoch) const {
  if (epoch == ordered_epoch_) return;
  if (options_.in_order) {
    order_.resize(static_cast<std::size_t>(facts()));
    std::iota(order_.begin(), order_.end(), std::int64_t{0});
  } else {
    order_ = Random(options_.seed, fmt::format("facts/{}", epoch)).permutation(facts());
  }
  ordered_epoch_ = epoch;
}

std::vector<std::int64_t> FactStream::facts_of_batch(std::int64_t index) const {
  SLOTWISE_CHECK(index >= 0, "[fact_stream] no batch {}", index);
  order_epoch(index / batches_per_epoch());
  const std::int64_t begin = index % batches_per_epoch() * options_.facts_per_batch;
  const std::int64_t end = std::min(begin + options_.facts_per_batch, facts());
  return {order_.begin() + begin, order_.begin() + end};
}

std::vector<FactStream::Draw> FactStream::draws(std::int64_t index) const {
  std::vector<Draw> out;
  for (const std::int64_t fact : facts_of_batch(index)) {
    Random random(options_.seed, fmt::format("wordings/{}/{}", index, fact));
    const auto all = static_cast<std::int64_t>(wordings(fact).size());
    std::vector<std::int64_t> drawn;
    while (drawn.size() < static_cast<std::size_t>(options_.wordings_per_fact)) {
      const auto order = random.permutation(all);
      drawn.insert(drawn.end(), order.begin(), order.end());
    }
    drawn.resize(static_cast<std::size_t>(options_.wordings_per_fact));
    for (const std::int64_t wording : drawn) out.push_back({fact, wording});
  }
  return out;
}

std::vector<std::vector<std::int32_t>> FactStream::rows_of(const std::vector<Draw>& draws) const {
  std::vector<std::vector<std::int32_t>> rows;
  for (const Draw& draw : draws) rows.push_back(tokens(draw));
  return rows;
}

std::vector<std::vector<std::int32_t>> FactStream::sequences(std::int64_t index) const {
  return rows_of(draws(index));
}

TokenBatch FactStream::batch(std::int64_t index) const {
  const std::vector<Draw> drawn = draws(index);
  TokenBatch batch = make_batch(rows_of(drawn), pad_id_);
  if (!options_.loss_on_answers) return batch;
  std::int32_t* row = batch.targets.data<std::int32_t>();
  for (const Draw& draw : drawn) {
    const std::int64_t silent = first_loss(draw.fact, draw.wording) - 1;
    std::fill_n(row, silent, -1);
    batch.valid_tokens -= silent;
    row += batch.targets.size(1);
  }
  return batch;
}

}  // namespace slotwise
