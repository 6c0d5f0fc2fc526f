// How questions become prompts and tokens. A `prompt` of a file stands as it is; a `question` is
// asked as "Question: ...\nAnswer:". What follows a prompt is separated by one space, unless the
// prompt ends with white space or it begins with some.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "data/questions.h"
#include "data/tokenizer.h"

namespace slotwise {

std::string asked_text(const Question& question);
// `text` with what separates it from the prompt.
std::string following(const std::string& prompt, const std::string& text);

struct EncodedPair {
  std::vector<std::int32_t> context, continuation;
};
// As lm-evaluation-harness does it: the whole text is encoded, and what the context alone gives is
// cut off its front, so that a token never spans the two; white space at the end of the context
// goes to the continuation. The context begins with the beginning-of-sequence token where the
// tokenizer has one; without one, and with an empty text, with end-of-text.
EncodedPair encode_pair(const Tokenizer& tokenizer, std::string context, std::string continuation);

}  // namespace slotwise
