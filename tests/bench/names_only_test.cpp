// A case whose values are not drawn has the label and the work of one whose values are.
#include "tests/support/names_only.h"

#include <gtest/gtest.h>

#include "tests/support/op_registry.h"

namespace slotwise::testing {
namespace {

TEST(NamesOnly, LabelsAndWorkAreThoseOfTheCases) {
  for (const Op& op : registered_ops()) {
    std::vector<OpCase> named;
    {
      const NamesOnly names_only;
      named = op.test_cases();
    }
    const std::vector<OpCase> drawn = op.test_cases();
    ASSERT_EQ(named.size(), drawn.size()) << op.name;
    for (std::size_t i = 0; i < drawn.size(); ++i) {
      EXPECT_EQ(named[i].label, drawn[i].label) << op.name;
      EXPECT_EQ(named[i].inputs.size(), drawn[i].inputs.size()) << op.name;
    }
  }
}

TEST(NamesOnly, DrawsNothingWhileItLives) {
  const Tensor drawn = random_integers({64}, 1, 1000);
  {
    const NamesOnly names_only;
    EXPECT_TRUE(NamesOnly::asked());
    EXPECT_EQ(random_integers({64}, 1, 1000).to_vector<std::int32_t>(),
              std::vector<std::int32_t>(64, 0));
  }
  EXPECT_FALSE(NamesOnly::asked());
  EXPECT_EQ(random_integers({64}, 1, 1000).to_vector<std::int32_t>(),
            drawn.to_vector<std::int32_t>());
}

}  // namespace
}  // namespace slotwise::testing
