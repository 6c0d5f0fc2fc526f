// A run that a signal stops while it evaluates resumes to the same bits: in the evaluations and the
// retention measurements of finetuning, and in the last evaluation of pretraining.
#include "tests/data/temporary_folder.h"
#include "tests/train/same_runs.h"
#include "tests/train/tiny_world.h"

namespace slotwise::testing {
namespace {

// The tiny world with so much to ask, one row at a time, that an evaluation takes seconds.
class InterruptedEvaluation : public ::testing::Test {
 protected:
  static TinyWorld make_world(const fs::path& folder) {
    TinyWorld made = tiny_world();
    made.data = folder / "data";
    run_well("prepare", {"--config", made.settings, "--set", "data.heldout_sentences=3000", "--set",
                         "data.new_people=40", "--out", made.data});
    return made;
  }
  static const TinyWorld& world() {
    static const TemporaryFolder folder;
    static const TinyWorld made = make_world(folder.path());
    return made;
  }

  // Interrupts when the metrics have `lines`, which is when an evaluation begins. False where that
  // was too late, as it can be on a busy machine: the run had measured more, or had ended.
  static bool stops_in_evaluation(const std::string& program, const Words& words,
                                  const fs::path& out, std::size_t lines) {
    RunningProgram running(program, words);
    wait_for_steps(running, out, lines);
    if (!running.ended()) running.interrupt();
    const Finished end = running.wait();
    if (end.code != 0) {
      EXPECT_EQ(end.code, 130) << end.error;
      EXPECT_TRUE(contains(end.out, "the same command resumes")) << end.out;
    }
    return end.code != 0 && metrics(out).size() == lines;
  }

  // `words` for --out FOLDER. Stops a run in its evaluation, resumes it, and compares it with a
  // straight one.
  template <class WordsOf>
  void expect_resumes(const std::string& program, const WordsOf& words, std::size_t lines,
                      int step) {
    const fs::path straight = folder_ / "straight", stopped = folder_ / "stopped";
    run_well(program, words(straight));
    bool in_time = false;
    for (int attempt = 0; attempt < 5 && !in_time; ++attempt) {
      fs::remove_all(stopped);
      in_time = stops_in_evaluation(program, words(stopped), stopped, lines);
      if (HasFailure()) return;
    }
    ASSERT_TRUE(in_time) << "it was to be stopped in the evaluation";
    EXPECT_FALSE(fs::exists(stopped / "result.json"));
    EXPECT_EQ(read_json_file(stopped / "checkpoint/trainer.json").at("step"), step);
    run_well(program, words(stopped));
    expect_same_runs(straight, stopped);
  }

  TemporaryFolder folder_;
};

const Words kAllTextRowByRow = {"--set", "evaluate.batch=1", "--set", "evaluate.text_rows=0"};

// Step 0 is evaluated, and logged, before the ten steps; step 10 after them.
TEST_F(InterruptedEvaluation, InFinetuning) {
  const auto words = [](const fs::path& out) {
    return world().finetune(out, "smf") + kAllTextRowByRow +
           Words{"--set", "finetune.evaluate_every=10"};
  };
  expect_resumes("finetune", words, 11, 10);
}

TEST_F(InterruptedEvaluation, AfterTheLastStepOfFinetuning) {
  const auto words = [](const fs::path& out) {
    return world().finetune(out, "full") + kAllTextRowByRow +
           Words{"--set", "finetune.evaluate_every=20"};
  };
  expect_resumes("finetune", words, 21, 20);
}

// The facts taught so far, and those that never will be, are asked after ten steps.
TEST_F(InterruptedEvaluation, OfRetention) {
  const auto words = [](const fs::path& out) {
    return world().finetune(out, "smf") +
           Words{"--set", "evaluate.batch=1",           "--set", "finetune.retention_every=10",
                 "--set", "finetune.evaluate_every=20", "--set", "finetune.order=sequential"};
  };
  expect_resumes("finetune", words, 11, 10);
}

TEST_F(InterruptedEvaluation, AfterPretraining) {
  const auto words = [](const fs::path& out) { return world().pretrain(out) + kAllTextRowByRow; };
  expect_resumes("pretrain", words, 20, 20);
}

}  // namespace
}  // namespace slotwise::testing
