// Training of byte-level BPE: words are counted first, then the most frequent pair of neighbours is
// joined again and again, with counts updated only in the words that hold it.
// The merges equal those of Hugging Face's BpeTrainer: equal counts go to the smaller pair of ids.
// A pair appears only at the merge that makes its younger half, so it is queued once, with all the
// words that will ever hold it; afterwards its count can only fall, and is looked up when its turn
// comes.
#include <algorithm>
#include <array>
#include <cstdint>
#include <unordered_map>
#include <utility>

#include "core/error.h"
#include "data/bpe_byte_alphabet.h"
#include "data/byte_level_bpe.h"
#include "data/tokenizer_utf8.h"

namespace slotwise {

namespace {

using WordCounts = std::unordered_map<std::string, std::int64_t, StringHash, std::equal_to<>>;

struct Pair {
  std::int32_t left, right;
  auto operator<=>(const Pair&) const = default;
};

struct PairHash {
  std::size_t operator()(const Pair& pair) const {
    const auto key = static_cast<std::uint64_t>(static_cast<std::uint32_t>(pair.left)) << 32 |
                     static_cast<std::uint32_t>(pair.right);
    return static_cast<std::size_t>(key * 0x9E3779B97F4A7C15ull >> 16);
  }
};

struct Word {
  std::vector<std::int32_t> symbols;
  std::int64_t count;
};

// A pair to merge, with the count that it had when it was last looked up.
struct Candidate {
  std::int64_t count;
  Pair pair;
  std::vector<std::int32_t> words;
};

bool comes_later(const Candidate& a, const Candidate& b) {
  return a.count != b.count ? a.count < b.count : a.pair > b.pair;
}

class Training {
 public:
  Training(const WordCounts& counts, const BpeTraining& settings);
  std::unique_ptr<Tokenizer> run();

 private:
  std::int32_t intern(const std::string& token);
  void read_words(const WordCounts& counts, const std::array<std::int32_t, 256>& byte_ids);
  void count_pair(Pair pair, std::int64_t change, std::int32_t word);
  void queue_new_pairs();
  void merge_in_word(Pair pair, std::int32_t merged, std::int32_t word_index);

  const BpeTraining& settings_;
  Vocabulary vocabulary_;
  std::vector<AddedToken> added_;
  std::vector<Word> words_;
  std::unordered_map<Pair, std::int64_t, PairHash> pair_counts_;
  std::unordered_map<Pair, std::vector<std::int32_t>, PairHash> new_pairs_;  // words of each
  std::vector<Candidate> heap_;
  std::vector<std::string> merges_;
};

Training::Training(const WordCounts& counts, const BpeTraining& settings) : settings_(settings) {
  for (const std::string& token : settings.special_tokens) {
    check_utf8(token);
    if (token.empty() || vocabulary_.id(token)) {
      user_error("special token \"{}\" is empty or given twice: give each token once", token);
    }
    added_.push_back({intern(token), token});
  }
  // The alphabet in the order of its characters, which is not that of the bytes.
  std::array<std::pair<std::uint32_t, std::size_t>, 256> alphabet;
  for (std::size_t byte = 0; byte < 256; ++byte) {
    alphabet[byte] = {character_of_byte(static_cast<unsigned char>(byte)), byte};
  }
  std::ranges::sort(alphabet);
  std::array<std::int32_t, 256> byte_ids;
  for (const auto& [character, byte] : alphabet) {
    std::string token;
    append_utf8(token, character);
    byte_ids[byte] = intern(token);
  }
  if (settings.vocabulary_size < vocabulary_.size()) {
    user_error("vocabulary_size is {}: expected at least {} (256 bytes and the special tokens)",
               settings.vocabulary_size, vocabulary_.size());
  }
  read_words(counts, byte_ids);
}

std::int32_t Training::intern(const std::string& token) {
  if (const auto id = vocabulary_.id(token)) return *id;
  vocabulary_.add(token, vocabulary_.size());
  return vocabulary_.size() - 1;
}

void Training::read_words(const WordCounts& counts, const std::array<std::int32_t, 256>& byte_ids) {
  words_.reserve(counts.size());
  for (const auto& [text, count] : counts) {
    Word word{{}, count};
    word.symbols.reserve(text.size());
    for (const char c : text) word.symbols.push_back(byte_ids[static_cast<unsigned char>(c)]);
    const auto index = static_cast<std::int32_t>(words_.size());
    for (std::size_t i = 0; i + 1 < word.symbols.size(); ++i) {
      count_pair({word.symbols[i], word.symbols[i + 1]}, count, index);
    }
    words_.push_back(std::move(word));
  }
  queue_new_pairs();
}

// Words are visited one after another, so a word is last in its list when it is there already.
void Training::count_pair(Pair pair, std::int64_t change, std::int32_t word) {
  pair_counts_[pair] += change;
  if (change <= 0) return;
  std::vector<std::int32_t>& words = new_pairs_[pair];
  if (words.empty() || words.back() != word) words.push_back(word);
}

void Training::queue_new_pairs() {
  for (auto& [pair, words] : new_pairs_) {
    const std::int64_t count = pair_counts_[pair];
    if (count <= 0) continue;
    heap_.push_back({count, pair, std::move(words)});
    std::ranges::push_heap(heap_, comes_later);
  }
  new_pairs_.clear();
}

void Training::merge_in_word(Pair pair, std::int32_t merged, std::int32_t word_index) {
  Word& word = words_[static_cast<std::size_t>(word_index)];
  std::vector<std::int32_t>& symbols = word.symbols;
  std::size_t kept = 0;
  for (std::size_t i = 0; i < symbols.size(); ++i) {
    if (symbols[i] != pair.left || i + 1 == symbols.size() || symbols[i + 1] != pair.right) {
      symbols[kept++] = symbols[i];
      continue;
    }
    if (kept > 0) {
      count_pair({symbols[kept - 1], pair.left}, -word.count, word_index);
      count_pair({symbols[kept - 1], merged}, word.count, word_index);
    }
    if (i + 2 < symbols.size()) {
      count_pair({pair.right, symbols[i + 2]}, -word.count, word_index);
      count_pair({merged, symbols[i + 2]}, word.count, word_index);
    }
    symbols[kept++] = merged;
    ++i;
  }
  symbols.resize(kept);
}

std::unique_ptr<Tokenizer> Training::run() {
  while (vocabulary_.size() < settings_.vocabulary_size && !heap_.empty()) {
    std::ranges::pop_heap(heap_, comes_later);
    Candidate top = std::move(heap_.back());
    heap_.pop_back();
    const std::int64_t count = pair_counts_[top.pair];
    if (top.count != count) {
      top.count = count;
      heap_.push_back(std::move(top));
      std::ranges::push_heap(heap_, comes_later);
      continue;
    }
    if (top.count < std::max(1, settings_.min_frequency)) break;
    const std::string& left = vocabulary_.text(top.pair.left);
    const std::string& right = vocabulary_.text(top.pair.right);
    merges_.push_back(fmt::format("{} {}", left, right));
    const std::int32_t merged = intern(left + right);
    for (const std::int32_t word : top.words) merge_in_word(top.pair, merged, word);
    queue_new_pairs();
  }
  return make_byte_level_bpe(vocabulary_, std::move(merges_), std::move(added_),
                             "the trained tokenizer");
}

}  // namespace

struct BpeTrainer::Counts {
  UnicodeRegex cut{kGpt2Pattern};
  WordCounts words;
};

BpeTrainer::BpeTrainer() : counts_(std::make_unique<Counts>()) {}
BpeTrainer::~BpeTrainer() = default;

void BpeTrainer::add(std::string_view text) {
  check_utf8(text);
  counts_->cut.for_each_match(text, [&](std::size_t begin, std::size_t end) {
    const std::string_view word = text.substr(begin, end - begin);
    const auto place = counts_->words.find(word);
    if (place != counts_->words.end()) {
      ++place->second;
    } else {
      counts_->words.emplace(word, 1);
    }
  });
}

std::unique_ptr<Tokenizer> BpeTrainer::train(const BpeTraining& training) const {
  if (counts_->words.empty()) user_error("no text was given to train the tokenizer on");
  return Training(counts_->words, training).run();
}

}  // namespace slotwise
