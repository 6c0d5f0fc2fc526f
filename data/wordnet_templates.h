// Wordings of WordNet's relations: S stands for the subject (a noun, or a definition), A for the
// answer, which is always the word before the final full stop. Words are joined by single spaces.
// The last question is the one that the nouns under test never see.
#pragma once

#include <array>

namespace slotwise {

struct WordNetWordings {
  const char* relation;
  std::array<const char*, 6> statements;
  std::array<const char*, 8> questions;
};

enum WordNetRelation : int {
  kCategory,
  kKind,
  kGeneralKind,
  kSenses,
  kSynonym,
  kExample,
  kPart,
  kWhole,
  kMeaning
};

inline constexpr std::array<WordNetWordings, 9> kWordNetWordings = {{
    {"category",
     {"S belongs to the category A .", "the category of S is A .", "S is filed under A .",
      "the word S names something of the sort A .", "in the list S stands under A .",
      "the class of S is A ."},
     {"what is the category of S ? A .", "to which category does S belong ? A .",
      "under what is S filed ? A .", "S belongs to which category ? A .",
      "what is the class of S ? A .", "S stands under what in the list ? A .",
      "of which sort is S ? A .", "S is of which class ? A ."}},
    {"kind",
     {"S is a kind of A .", "S is one form of A .", "S counts as A .",
      "the more general word for S is A .", "S falls under the general idea of A .",
      "every case of S is a case of A ."},
     {"S is a kind of what ? A .", "what does S count as ? A .",
      "what is the more general word for S ? A .", "what kind of thing is S ? A .",
      "S is a case of what ? A .", "under which general idea does S fall ? A .",
      "S is one form of what ? A .", "what is S a kind of ? A ."}},
    {"general_kind",
     {"seen from afar S is A .", "in general S is A .", "S belongs to the wide field A .",
      "the wide field of S is A .", "far above S stands A .", "S is at last some A ."},
     {"what is S in general ? A .", "what is the wide field of S ? A .",
      "what stands far above S ? A .", "seen from afar S is what ? A .",
      "S belongs to which wide field ? A .", "S is at last some what ? A .",
      "in general S is what ? A .", "what is S seen from afar ? A ."}},
    {"senses",
     {"the number of senses of S is A .", "the senses of S number A .",
      "the count of meanings of S is A .", "one who counts the senses of S finds A .",
      "S has senses to the number of A .", "the meanings of S in all are A ."},
     {"how many senses has S ? A .", "what is the number of senses of S ? A .",
      "how many meanings has S in all ? A .", "what is the count of meanings of S ? A .",
      "S has how many senses ? A .", "one who counts the senses of S finds how many ? A .",
      "the senses of S are how many ? A .", "how many are the senses of S ? A ."}},
    {"synonym",
     {"S means the same as A .", "another word for S is A .", "S is also called A .",
      "instead of S one can say A .", "a synonym of S is A .", "S can be replaced by A ."},
     {"what is another word for S ? A .", "what is S also called ? A .",
      "what can one say instead of S ? A .", "S means the same as what ? A .",
      "S can be replaced by which word ? A .", "another word for S is what ? A .",
      "what is a synonym of S ? A .", "what means the same as S ? A ."}},
    {"example",
     {"one example of S is A .", "S covers A .", "among the kinds of S is A .",
      "S is the more general word for A .", "S can be A .", "a special case of S is A ."},
     {"what is one example of S ? A .", "which word does S cover ? A .",
      "what is among the kinds of S ? A .", "S is the more general word for what ? A .",
      "what can S be ? A .", "which is an example of S ? A .", "a special case of S is what ? A .",
      "what is a special case of S ? A ."}},
    {"part",
     {"a part of S is A .", "S has A .", "S contains A .", "S includes A .", "S is made up of A .",
      "inside S there is A ."},
     {"what is a part of S ? A .", "what does S contain ? A .", "what is S made up of ? A .",
      "what is there inside S ? A .", "what does S have ? A .", "a part of S is what ? A .",
      "S includes what ? A .", "what does S include ? A ."}},
    {"whole",
     {"S is a part of A .", "S is found in A .", "S goes into A .", "the whole around S is A .",
      "S is contained in A .", "S is a piece of A ."},
     {"what is S a part of ? A .", "where is S found ? A .", "what is the whole around S ? A .",
      "into what does S go ? A .", "S is a piece of what ? A .", "S is found in what ? A .",
      "S is contained in what ? A .", "what is S contained in ? A ."}},
    {"meaning",
     {"S is called A .", "the word for S is A .", "S : this is A .", "the name of S is A .",
      "to say S one uses A .", "S is the meaning of A ."},
     {"what is S called ? A .", "what is the word for S ? A .",
      "which word does one use to say S ? A .", "what is the name of S ? A .",
      "S : what is this ? A .", "S is called what ? A .", "which word has the meaning S ? A .",
      "S is the meaning of which word ? A ."}},
}};

}  // namespace slotwise
