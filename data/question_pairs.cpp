#include "data/question_pairs.h"

#include <algorithm>

#include "core/error.h"
#include "core/random.h"
#include "data/answer_metrics.h"
#include "data/question_frames.h"
#include "data/questions.h"

namespace slotwise {
namespace {

int words_of(const std::string& text) {
  return static_cast<int>(std::count(text.begin(), text.end(), ' ')) + 1;
}

bool passes(const QuestionPair& pair, const PairFilter& filter) {
  const std::string& answer = pair.answers.front();
  const int words = words_of(pair.question);
  if (words < filter.least_question_words || words > filter.most_question_words) return false;
  if (answer.empty() || words_of(answer) > filter.most_answer_words) return false;
  if (static_cast<int>(answer.size()) > filter.most_answer_bytes) return false;
  if (answer.find_first_of("\n\t") != answer.npos) return false;
  // Between spaces, so that only whole words count.
  const auto spaced = [](const std::string& text) {
    return fmt::format(" {} ", normalise_answer(text, AnswerNormalisation::squad));
  };
  const std::string given = spaced(answer);
  return given.size() > 2 && spaced(pair.question).find(given) == std::string::npos;
}

}  // namespace

std::vector<QuestionPair> choose_pairs(const std::filesystem::path& file, const PairFilter& filter,
                                       std::int64_t count, std::uint64_t seed,
                                       const std::string& stream, std::set<std::string>& taken) {
  const std::vector<Question> questions = read_questions(file);
  const auto order = Random(seed, stream).permutation(static_cast<std::int64_t>(questions.size()));
  std::vector<QuestionPair> out;
  for (const std::int64_t place : order) {
    if (static_cast<std::int64_t>(out.size()) == count) break;
    const Question& question = questions[static_cast<std::size_t>(place)];
    QuestionPair pair{question.id, plain_question(question.text), question.answers};
    if (!passes(pair, filter) || !taken.insert(content_key(pair.question)).second) continue;
    out.push_back(std::move(pair));
  }
  if (static_cast<std::int64_t>(out.size()) < count) {
    user_error("{} has {} questions with short answers, {} are wanted; lower the number",
               file.string(), out.size(), count);
  }
  return out;
}

}  // namespace slotwise
