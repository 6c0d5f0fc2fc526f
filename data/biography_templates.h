// Wordings of the biographies: F L stands for a person's first and last name, A for the answer,
// which is always the word before the final full stop. Words are joined by single spaces.
#pragma once

#include <array>

namespace slotwise {

struct BiographyAttribute {
  const char* name;  // its values are name0, name1, ...
  std::array<const char*, 6> statements;
  std::array<const char*, 4> questions;
};

inline constexpr std::array<BiographyAttribute, 4> kBiographyAttributes = {{
    {"city",
     {"F L was born in A .", "the birthplace of F L is A .", "F L comes from A .",
      "F L is a native of A .", "the home town of F L is A .", "as a child F L lived in A ."},
     {"where was F L born ? A .", "what is the birthplace of F L ? A .",
      "which town does F L come from ? A .", "F L is a native of which city ? A ."}},
    {"year",
     {"F L was born in the year A .", "the birth year of F L is A .",
      "the life of F L began in A .", "F L is a child of the year A .", "F L dates from A .",
      "the papers of F L give the year A ."},
     {"when was F L born ? A .", "what is the birth year of F L ? A .",
      "in which year did the life of F L begin ? A .", "F L is a child of which year ? A ."}},
    {"employer",
     {"F L works for A .", "the employer of F L is A .", "F L has a job at A .",
      "F L is on the staff of A .", "F L earns a wage at A .", "the company of F L is A ."},
     {"who does F L work for ? A .", "what is the employer of F L ? A .",
      "which company does F L have a job at ? A .", "F L is on the staff of which firm ? A ."}},
    {"major",
     {"F L studied A .", "the major of F L was A .", "F L has a degree in A .",
      "at school F L chose A .", "F L was a student of A .", "the subject of F L was A ."},
     {"what did F L study ? A .", "what is the major of F L ? A .",
      "which degree does F L have ? A .", "F L was a student of which subject ? A ."}},
}};

}  // namespace slotwise
