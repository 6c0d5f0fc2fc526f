#include "tests/train/tiny_world.h"

#include "tests/data/temporary_folder.h"

namespace slotwise::testing {
namespace {

constexpr const char* kSettings = R"(
[data]
kind = "biographies"
first_names = 8
last_names = 8
old_people = 12
fully_questioned_people = 6
new_people = 2
values = 4
text_sentences = 100
heldout_sentences = 16

[model]
hidden_size = 16
num_hidden_layers = 3
num_attention_heads = 2
intermediate_size = 16
max_position_embeddings = 32

[memory]
layers = [1]
sub_keys = 16
heads = 2
top_k = 4
key_dim = 8
value_dim = 16

[pretrain]
steps = 20
batch = 16
learning_rate = 4e-3
value_learning_rate = 2e-2
weight_decay = 0.01
warmup = 5
schedule = "cosine"

[background]
batches = 8
batch = 8

[finetune]
steps = 20
facts = 2
wordings = 4
evaluate_every = 5

[evaluate]
text_rows = 8
)";

}  // namespace

Words TinyWorld::pretrain(const std::filesystem::path& out) const {
  return {"--config", settings, "--data", data, "--out", out};
}

Words TinyWorld::finetune(const std::filesystem::path& out, const std::string& method) const {
  Words words = {"--config", settings,   "--data", data,    "--checkpoint",
                 checkpoint, "--method", method,   "--out", out};
  const bool dense = method == "full" || method == "lora";
  words = words + Words{"--learning-rate", dense ? "0.001" : "0.05"};
  if (method == "lora") words = words + Words{"--rank", "2"};
  if (!dense && method != "all_rows") words = words + Words{"--rows", "12"};
  return words;
}

const TinyWorld& tiny_world() {
  static const TemporaryFolder folder;
  static const TinyWorld world = [] {
    TinyWorld made{folder.write("tiny.toml", kSettings), folder / "data",
                   folder / "pretrained/checkpoint"};
    run_well("prepare", {"--config", made.settings, "--out", made.data});
    run_well("pretrain", made.pretrain(folder / "pretrained"));
    run_well("background",
             {"--config", made.settings, "--checkpoint", made.checkpoint, "--data", made.data});
    return made;
  }();
  return world;
}

}  // namespace slotwise::testing
