// Choosing questions with short answers for teaching: filtered, without repeats, in a random order
// that the seed decides.
#pragma once

#include <cstdint>
#include <filesystem>
#include <set>
#include <string>
#include <vector>

namespace slotwise {

struct QuestionPair {
  std::string id;
  std::string question;              // plain (see data/question_frames.h)
  std::vector<std::string> answers;  // all accepted; the first is the one to teach
};

struct PairFilter {
  int least_question_words = 4;
  int most_question_words = 14;
  int most_answer_words = 4;
  int most_answer_bytes = 32;
};

// The pairs of `file` that pass, in the seed's order. A question that holds its answer is left out,
// and so is one with the same words of meaning (content_key) as one before it or as one in `taken`;
// the keys of what is returned are added to `taken`. `stream` names the random stream. UserError
// where there are fewer than `count`.
std::vector<QuestionPair> choose_pairs(const std::filesystem::path& file, const PairFilter& filter,
                                       std::int64_t count, std::uint64_t seed,
                                       const std::string& stream, std::set<std::string>& taken);

}  // namespace slotwise
