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

  // `words` for --out FOLDER. Interrupts when the metrics have `lines`, which is when an evaluation
  // begins; the run must have measured nothing more then. Resumes, and compares with a straight
  // run.
  template <class WordsOf>
  void expect_resumes(const std::string& program, const WordsOf& words, std::size_t lines,
                      int step) {
    const fs::path straight = folder_ / "straight", stopped = folder_ / "stopped";
    run_well(program, words(straight));
    RunningProgram running(program, words(stopped));
    wait_for_steps(running, stopped, lines);
    ASSERT_FALSE(running.ended()) << running.wait().error;
    running.interrupt();
    const Finished end = running.wait();
    ASSERT_EQ(end.code, 130) << end.error;
    EXPECT_TRUE(contains(end.out, "the same command resumes")) << end.out;
    ASSERT_EQ(metrics(stopped).size(), lines) << "it was to be stopped in the evaluation";
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
