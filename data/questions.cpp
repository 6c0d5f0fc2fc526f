#include "data/questions.h"

#include <nlohmann/json.hpp>

#include "core/error.h"
#include "data/json_lines.h"

namespace slotwise {
namespace {

using nlohmann::json;

std::string id_of(const json& row, std::int64_t line) {
  const auto field = row.find("id");
  if (field == row.end()) return fmt::format("{}", line);
  if (field->is_number_integer()) return field->dump();
  return text_field(row, "id");
}

std::optional<int> small_integer(const json& row, const char* name, std::size_t bound) {
  const auto field = row.find(name);
  if (field == row.end() || field->is_null()) return std::nullopt;
  if (!field->is_number_integer() || field->get<std::int64_t>() < 0 ||
      field->get<std::uint64_t>() >= bound) {
    user_error("the field \"{}\" must be an integer from 0 to {}, found {}", name,
               static_cast<std::int64_t>(bound) - 1, field->dump());
  }
  return field->get<int>();
}

}  // namespace

std::vector<Question> read_questions(const std::filesystem::path& path) {
  std::vector<Question> questions;
  read_json_lines(path, [&](const json& row, std::int64_t line) {
    Question question;
    question.id = id_of(row, line);
    question.is_prompt = row.contains("prompt");
    if (!question.is_prompt && !row.contains("question")) {
      user_error("a question needs the field \"question\" or \"prompt\"");
    }
    question.text = text_field(row, question.is_prompt ? "prompt" : "question");
    question.answers = texts_field(row, "answers");
    question.half = small_integer(row, "half", 2);
    if (row.contains("choices")) {
      question.choices = texts_field(row, "choices");
      question.label = small_integer(row, "label", question.choices.size());
    }
    if (row.contains("solution")) question.solution = text_field(row, "solution");
    questions.push_back(std::move(question));
  });
  if (questions.empty()) user_error("{} holds no questions", path.string());
  return questions;
}

}  // namespace slotwise
