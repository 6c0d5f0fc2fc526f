#include "train/background_corpus.h"

#include <algorithm>

#include "core/error.h"
#include "core/random.h"
#include "data/fact_stream.h"
#include "data/questions.h"
#include "data/tokenizer.h"
#include "train/prompt.h"

namespace slotwise {
namespace {

// Its own random stream: the background is a fresh draw of the data, not the batches of the
// training.
constexpr const char* kStream = "background";

std::vector<MixturePart> chosen_parts(const Dataset& dataset,
                                      const std::vector<std::string>& names) {
  if (names.empty()) return dataset.parts();
  std::vector<MixturePart> out;
  std::string known;
  for (const MixturePart& part : dataset.parts()) {
    known += (known.empty() ? "" : ", ") + part.name;
    if (std::find(names.begin(), names.end(), part.name) != names.end()) out.push_back(part);
  }
  for (const std::string& name : names) {
    if (std::any_of(out.begin(), out.end(), [&](auto& part) { return part.name == name; }))
      continue;
    user_error("{} has no part '{}'; its parts are {}", dataset.folder().string(), name, known);
  }
  return out;
}

}  // namespace

BackgroundCorpus::BackgroundCorpus(const Dataset& dataset, const CorpusChoice& choice,
                                   std::uint64_t seed, std::int64_t window, bool append_eos)
    : seed_(seed), pad_id_(dataset.tokenizer().special().pad.value_or(0)) {
  const int given = static_cast<int>(!choice.parts.empty()) + static_cast<int>(choice.facts) +
                    static_cast<int>(!choice.questions.empty());
  if (given > 1) user_error("a background has one corpus: give parts, facts or questions");
  if (choice.facts) {
    take_facts(dataset, append_eos);
  } else if (!choice.questions.empty()) {
    take_questions(dataset, choice.questions);
  } else {
    for (const std::string& part : choice.parts) name_ += (name_.empty() ? "parts " : ",") + part;
    mixture_ =
        std::make_unique<MixtureLoader>(chosen_parts(dataset, choice.parts),
                                        MixtureOptions{.seed = seed,
                                                       .stream = kStream,
                                                       .window_tokens = static_cast<int>(window),
                                                       .pad_id = pad_id_});
  }
}

void BackgroundCorpus::take_facts(const Dataset& dataset, bool append_eos) {
  name_ = append_eos ? "facts, each ended" : "facts";
  const FactStream facts(read_facts(dataset.facts_path()), dataset.tokenizer(),
                         {.append_eos = append_eos});
  for (std::int64_t fact = 0; fact < facts.facts(); ++fact) {
    const auto& wordings = facts.wordings(fact);
    sequences_.insert(sequences_.end(), wordings.begin(), wordings.end());
  }
}

void BackgroundCorpus::take_questions(const Dataset& dataset, const std::string& role) {
  name_ = "questions " + role;
  const Tokenizer& tokenizer = dataset.tokenizer();
  for (const Question& question : read_questions(dataset.questions_path(role))) {
    const std::string asked = asked_text(question);
    std::vector<std::int32_t> tokens =
        tokenizer.encode(asked + following(asked, question.answers.front()));
    if (tokenizer.special().bos) tokens.insert(tokens.begin(), *tokenizer.special().bos);
    sequences_.push_back(std::move(tokens));
  }
}

TokenBatch BackgroundCorpus::batch(std::int64_t index, std::int64_t rows) const {
  if (mixture_) return mixture_->batch(index, static_cast<int>(rows));
  Random random(seed_, fmt::format("{}/{}", kStream, index));
  std::vector<std::vector<std::int32_t>> drawn;
  for (std::int64_t row = 0; row < rows; ++row) {
    drawn.push_back(sequences_[static_cast<std::size_t>(random.below(sequences_.size()))]);
  }
  return make_batch(drawn, pad_id_);
}

std::int64_t BackgroundCorpus::longest_input() const {
  if (mixture_) return mixture_->longest_input();
  std::size_t longest = 1;
  for (const auto& sequence : sequences_) longest = std::max(longest, sequence.size());
  return static_cast<std::int64_t>(longest) - 1;
}

}  // namespace slotwise
