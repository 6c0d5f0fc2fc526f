// Who lives in the world of the biographies and what is true of them. Every draw is Philox at
// (seed, purpose, place), so changing one size leaves the other draws as they are.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "data/biographies.h"
#include "data/biography_templates.h"

namespace slotwise {

class BiographyWorld {
 public:
  explicit BiographyWorld(const BiographyOptions& options);

  // People [0, old_people) are old, the next new_people are new. Attributes by their place in
  // kBiographyAttributes.
  std::string answer(int person, std::size_t attribute) const;
  // The template with the person's names and answer.
  std::string sentence(int person, std::size_t attribute, std::string_view wording) const;
  // The same up to the answer, without the space before it.
  std::string prompt(int person, std::size_t attribute, std::string_view wording) const;

 private:
  std::string fill(int person, std::size_t attribute, std::string_view wording,
                   bool until_answer) const;

  BiographyOptions options_;
  std::vector<std::int64_t> names_;  // first * last_names + last, by person
};

// Every word that the world and its text can contain, after <pad> and <bos>.
std::vector<std::string> biography_vocabulary(const BiographyOptions& options);

}  // namespace slotwise
