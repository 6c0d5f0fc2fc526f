// What becomes of facts that were learned earlier in the same finetuning stream. The facts are in
// groups by the step that teaches them first; after each group every group is asked:
//   R[i][j] = the score on the questions of group j after group i was taught
// (Lopez-Paz and Ranzato 2017, section 3). From it: retention, the mean over the earlier groups j <
// i of R[i][j] / R[j][j], and backward transfer, the mean over them of R[i][j] - R[j][j].
#pragma once

#include <cstdint>
#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <string>
#include <vector>

#include "data/fact_stream.h"
#include "data/questions.h"
#include "train/answer_measure.h"

namespace slotwise {

// Groups, and the groups of the questions.
struct RetentionPlan {
  struct Group {
    std::int64_t first_step = 0, last_step = 0;  // taught by steps [first, last); 0, 0: not taught
    std::int64_t facts = 0, questions = 0;
  };
  std::vector<Group> groups;              // the last may be the facts that the run never teaches
  std::vector<std::int64_t> group_of;     // of each question; -1: of no fact of the stream
  std::vector<std::int64_t> asked_after;  // steps, ascending: 0, each group's last, the run's last

  std::int64_t taught() const;  // groups that are taught
};

// A question belongs to the fact whose id is its own, or the longest front of it before a '/':
// "person3/city/question1" to "person3/city". `every`: steps that teach a group. UserError where no
// question belongs to a fact.
RetentionPlan plan_retention(const FactStream& stream, std::int64_t steps, std::int64_t every,
                             const std::vector<Question>& questions, const std::string& role);

class RetentionMatrix {
 public:
  RetentionMatrix(RetentionPlan plan, std::string role, AnswerMeasure measure);

  bool due(std::int64_t step) const;  // asked for, and not there yet
  // `scores` in [0, 1]: of each question of the plan.
  void add(std::int64_t step, const std::vector<double>& scores);

  // R[row][group]; nothing for a group without questions.
  using Row = std::vector<std::optional<double>>;
  struct Asked {
    std::int64_t step = 0;
    Row scores;
  };
  const std::vector<Asked>& rows() const { return rows_; }
  // Over the groups taught before this row's last one; groups whose own score was 0 are left out of
  // the ratio. Nothing where there is none.
  std::optional<double> retention(std::size_t row) const;
  std::optional<double> backward_transfer(std::size_t row) const;

  nlohmann::json json_result() const;  // groups, rows and the means of the last row
  nlohmann::json rows_json() const;    // for a checkpoint
  void load_rows(const nlohmann::json& rows);
  std::string text() const;  // a table, in %

 private:
  // The row in which a group had just been taught.
  std::optional<std::size_t> own_row(std::size_t group) const;
  // Mean of compare(score in the row, score in its own row) over the groups taught before.
  template <class Compare>
  std::optional<double> mean_of_earlier(std::size_t row, Compare&& compare) const;

  RetentionPlan plan_;
  std::string role_;
  AnswerMeasure measure_;
  std::vector<Asked> rows_;
};

}  // namespace slotwise
