// slotwise-inspect --record-trace: the reads of a trained model on held-out text as a file.
#include "memory/access_trace.h"
#include "tests/train/bad_input.h"

namespace slotwise::testing {
namespace {

class TraceRecording : public BadInput {
 protected:
  Words command(const Words& more = {}) const {
    return Words{"--checkpoint", checkpoint_, "--data", data_, "--record-trace", trace_} + more;
  }
  const std::string trace_ = folder_ / "trace.safetensors";
};

TEST_F(TraceRecording, HoldsTheReadsOfHeldoutText) {
  const Finished done = run_well("inspect", command());
  EXPECT_TRUE(contains(done.out, trace_ + ": the slots of ")) << done.out;
  const AccessTrace trace = load_access_trace(trace_);
  const json config = json::parse(read_file(checkpoint_ / "config.json")).at("memory");
  EXPECT_EQ(trace.slots, config.at("slots").get<std::int64_t>());
  EXPECT_EQ(trace.accesses.size(1), config.at("heads").get<std::int64_t>());
  EXPECT_EQ(trace.accesses.size(2), config.at("top_k").get<std::int64_t>());
  // As many as the usage report beside it counts.
  EXPECT_TRUE(contains(done.out, std::to_string(trace.accesses.elements()) + " accesses to "))
      << done.out;
  EXPECT_TRUE(contains(trace.source, "held-out text, 8 batches of 64 rows")) << trace.source;

  const std::string once = read_file(trace_);
  run_well("inspect", command());
  EXPECT_EQ(read_file(trace_), once);
}

TEST_F(TraceRecording, ReadsLongSequencesInWindows) {
  run_well("inspect", command());
  const std::int64_t tokens = load_access_trace(trace_).accesses.size(0);
  json config = json::parse(read_file(checkpoint_ / "config.json"));
  config["max_position_embeddings"] = 3;
  overwrite(checkpoint_ / "config.json", config.dump());
  fs::remove(checkpoint_ / "SHA256SUMS");
  run_well("inspect", command());
  EXPECT_EQ(load_access_trace(trace_).accesses.size(0), tokens);
}

TEST_F(TraceRecording, RefusesWhatItCannotRecord) {
  refuses("inspect", {"--checkpoint", checkpoint_, "--record-trace", trace_}, {"--data"}, 2);
  refuses("inspect", {"--checkpoint", checkpoint_, "--trace-batches", "2"}, {"--record-trace"}, 2);
  refuses("inspect", command({"--trace-batches", "0"}), {"--trace-batches"}, 2);
  refuses("inspect", command({"--trace-table", "1"}), {"there is no table 1"});
}

}  // namespace
}  // namespace slotwise::testing
