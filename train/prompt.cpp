#include "train/prompt.h"

#include <algorithm>

#include "core/error.h"

namespace slotwise {
namespace {

constexpr const char* kSpace = " \n\t\r";

}  // namespace

std::string asked_text(const Question& question) {
  return question.is_prompt ? question.text : "Question: " + question.text + "\nAnswer:";
}

std::string following(const std::string& prompt, const std::string& text) {
  const auto space_at = [](const std::string& in, std::size_t at) {
    return std::string(kSpace).find(in[at]) != std::string::npos;
  };
  const bool separated = (!prompt.empty() && space_at(prompt, prompt.size() - 1)) ||
                         (!text.empty() && space_at(text, 0));
  return separated ? text : " " + text;
}

EncodedPair encode_pair(const Tokenizer& tokenizer, std::string context, std::string continuation) {
  const std::size_t last = context.find_last_not_of(kSpace);
  const std::size_t kept = last == std::string::npos ? 0 : last + 1;
  continuation.insert(0, context, kept);
  context.resize(kept);
  EncodedPair out;
  out.context = tokenizer.encode(context);
  const std::vector<std::int32_t> whole = tokenizer.encode(context + continuation);
  // A tokenizer that merges over the boundary would leave nothing of a short continuation.
  const std::size_t cut =
      std::min(out.context.size(), whole.empty() ? std::size_t{0} : whole.size() - 1);
  out.continuation.assign(whole.begin() + static_cast<std::ptrdiff_t>(cut), whole.end());
  const SpecialTokens& special = tokenizer.special();
  if (special.bos) {
    out.context.insert(out.context.begin(), *special.bos);
  } else if (out.context.empty()) {
    if (!special.eos) user_error("an empty prompt needs a tokenizer with an end-of-text token");
    out.context.push_back(*special.eos);
  }
  return out;
}

}  // namespace slotwise
