#include "data/biography_world.h"

#include <unordered_set>

#include "core/random.h"
#include "data/biography_text.h"

namespace slotwise {
namespace {

template <class Visit>
void for_each_word(std::string_view text, Visit&& visit) {
  while (!text.empty()) {
    const std::size_t end = std::min(text.find(' '), text.size());
    visit(text.substr(0, end));
    text.remove_prefix(std::min(end + 1, text.size()));
  }
}

}  // namespace

BiographyWorld::BiographyWorld(const BiographyOptions& options) : options_(options) {
  const std::int64_t pairs = std::int64_t{options.first_names} * options.last_names;
  names_ = Random(options.seed, "biographies/names").permutation(pairs);
  names_.resize(static_cast<std::size_t>(options.old_people + options.new_people));
}

std::string BiographyWorld::answer(int person, std::size_t attribute) const {
  const std::uint64_t place =
      static_cast<std::uint64_t>(person) * kBiographyAttributes.size() + attribute;
  const auto value = Random(options_.seed, "biographies/facts")
                         .below_at(place, static_cast<std::uint64_t>(options_.values));
  return fmt::format("{}{}", kBiographyAttributes[attribute].name, value);
}

std::string BiographyWorld::fill(int person, std::size_t attribute, std::string_view wording,
                                 bool until_answer) const {
  const std::int64_t name = names_[static_cast<std::size_t>(person)];
  std::string text;
  bool done = false;
  for_each_word(wording, [&](std::string_view word) {
    done = done || (until_answer && word == "A");
    if (done) return;
    if (!text.empty()) text += ' ';
    if (word == "F") {
      text += fmt::format("first{}", name / options_.last_names);
    } else if (word == "L") {
      text += fmt::format("last{}", name % options_.last_names);
    } else if (word == "A") {
      text += answer(person, attribute);
    } else {
      text += word;
    }
  });
  return text;
}

std::string BiographyWorld::sentence(int person, std::size_t attribute,
                                     std::string_view wording) const {
  return fill(person, attribute, wording, false);
}

std::string BiographyWorld::prompt(int person, std::size_t attribute,
                                   std::string_view wording) const {
  return fill(person, attribute, wording, true);
}

std::vector<std::string> biography_vocabulary(const BiographyOptions& options) {
  std::vector<std::string> words;
  std::unordered_set<std::string> seen;
  const auto add = [&](std::string word) {
    if (seen.insert(word).second) words.push_back(std::move(word));
  };
  const auto add_template = [&](std::string_view wording) {
    for_each_word(wording, [&](std::string_view word) {
      if (word != "F" && word != "L" && word != "A") add(std::string(word));
    });
  };
  add("<pad>");
  add("<bos>");
  for (const auto& attribute : kBiographyAttributes) {
    for (const char* wording : attribute.statements) add_template(wording);
    for (const char* wording : attribute.questions) add_template(wording);
  }
  for (int i = 0; i < options.first_names; ++i) add(fmt::format("first{}", i));
  for (int i = 0; i < options.last_names; ++i) add(fmt::format("last{}", i));
  for (const auto& attribute : kBiographyAttributes) {
    for (int i = 0; i < options.values; ++i) add(fmt::format("{}{}", attribute.name, i));
  }
  for (std::string& word : grammar_vocabulary()) add(std::move(word));
  return words;
}

}  // namespace slotwise
