// Damaged and mismatched datasets, question files and texts are refused (tests/train/bad_input.h).
#include "tests/train/bad_input.h"

namespace slotwise::testing {
namespace {

using BadData = BadInput;

TEST_F(BadData, MissingOrBrokenFiles) {
  const std::string text = read_file(data_ / "text.tokens");
  truncate(data_ / "text.tokens");
  data_refused({"text.tokens is truncated or damaged"});
  overwrite(data_ / "text.tokens", "some text that is no shard");
  data_refused({"text.tokens is not a token shard"});
  fs::remove(data_ / "text.tokens");
  data_refused({"cannot read", "text.tokens"});
  overwrite(data_ / "text.tokens", text);
  fs::remove(data_ / "facts.jsonl");
  data_refused({"facts.jsonl is missing"});
  fs::remove(data_ / "dataset.json");
  data_refused({"is no dataset"});
  fs::remove_all(data_);
  data_refused({"is no dataset"});
}

TEST_F(BadData, ShardOfAnotherTokenizer) {
  std::string shard = read_file(data_ / "text.tokens");
  shard[48] = shard[48] == 'a' ? 'b' : 'a';  // within the hash in the header
  overwrite(data_ / "text.tokens", shard);
  data_refused({"text.tokens was made with another tokenizer"});
}

TEST_F(BadData, OtherTokenizerThanTheCheckpoint) {
  const TemporaryFolder other;
  TinyWorld mixed = world();
  mixed.data = other / "more";
  run_well("prepare", {"--config", mixed.settings, "--set", "data.values=3", "--out", mixed.data});
  refuses("finetune", mixed.finetune(out_, "full"), {"made with another tokenizer"});
  refuses("background",
          {"--config", mixed.settings, "--checkpoint", checkpoint_, "--data", mixed.data},
          {"made with another tokenizer"});
  refuses("evaluate", {"--checkpoint", checkpoint_, "--data", mixed.data},
          {"made with another tokenizer"});
}

TEST_F(BadData, BrokenJsonLines) {
  const std::string facts = read_file(data_ / "facts.jsonl");
  const std::size_t second = facts.find('\n') + 1;
  const std::pair<std::string, const char*> lines[] = {
      {"{\"id\": \"x\", ", "broken JSON"},
      {"{\"id\": \"x\", \"wordings\": [\"\xff\"]}", "invalid UTF-8"},
      {"{\"id\": \"x\"}", "\"wordings\" is missing"},
      {"{\"id\": 7, \"wordings\": [\"a b\"]}", "\"id\" must be a text"},
      {"[1]", "expected a JSON object"}};
  for (const auto& [line, phrase] : lines) {
    overwrite(data_ / "facts.jsonl", facts.substr(0, second) + line + "\n" + facts.substr(second));
    refuses("finetune", world().finetune(out_, "full"), {"facts.jsonl, line 2", phrase});
  }
  overwrite(data_ / "facts.jsonl", "");
  refuses("finetune", world().finetune(out_, "full"), {"facts.jsonl holds no facts"});
}

TEST_F(BadData, BrokenQuestions) {
  const fs::path file = folder_ / "questions.jsonl";
  const Words command = {"--checkpoint", checkpoint_, "--questions", file};
  refuses("evaluate", command, {"cannot read", "questions.jsonl"});
  overwrite(file, "");
  refuses("evaluate", command, {"holds no questions"});
  overwrite(file, "{\"prompt\": \"where\", \"answers\": []}\n");
  refuses("evaluate", command, {"line 1", "\"answers\" must be a list of at least one text"});
  overwrite(file, "\n{\"prompt\": \"\xc3\x28\", \"answers\": [\"x\"]}\n");
  refuses("evaluate", command, {"line 2", "invalid UTF-8"});
  std::string longer;
  for (int i = 0; i < 40; ++i) longer += "where ";
  overwrite(file, json({{"prompt", longer}, {"answers", {"city1"}}}).dump() + "\n");
  refuses("evaluate", command, {"more than the model's 32 positions"});
  fs::rename(file, folder_ / "questions.jsonl.gz");
  refuses("evaluate", {"--checkpoint", checkpoint_, "--questions", folder_ / "questions.jsonl.gz"},
          {"does not hold gzip data"});
  refuses("evaluate", {"--checkpoint", checkpoint_}, {"nothing to score"});
}

// Questions that a dataset names are read before the training, not after it.
TEST_F(BadData, QuestionsAreCheckedBeforePretraining) {
  overwrite(data_ / "questions_old.jsonl", "{\n");
  data_refused({"questions_old.jsonl, line 1", "broken JSON"});
}

TEST_F(BadData, TextToPrepare) {
  const fs::path settings = folder_ / "text.toml", text = folder_ / "text.jsonl";
  const Words command = {"--config", settings, "--out", out_};
  overwrite(settings, "[data]\nkind = \"text\"\ntext = \"" + text.string() + "\"\n");
  refuses("prepare", command, {"cannot read", "text.jsonl"});
  overwrite(text, "{\"text\": \"one\"}\n{\"title\": \"two\"}\n");
  refuses("prepare", command, {"text.jsonl, line 2", "\"text\""});
  overwrite(text, "{\"text\": \"one\"}\n{\"text\": \"\xf0\x28\x8c\xbc\"}\n");
  refuses("prepare", command, {"text.jsonl, line 2", "invalid UTF-8"});
  overwrite(settings, "[data]\nkind = \"text\"\ntext = [1, 2]\n");
  refuses("prepare", command, {"must be a path or a list of paths"});
  overwrite(settings, "[data]\nkind = \"text\"\ntext = \"x\"\nquestions = \"q.jsonl\"\n");
  refuses("prepare", command, {"questions must be a table of roles and paths"});
}

TEST_F(BadData, DocumentWithoutText) {
  const auto texts = folder_.write("texts.jsonl", "{\"text\": \"a b c\"}\n{\"txet\": \"d\"}\n");
  const auto config =
      folder_.write("text.toml", "[data]\nkind = \"text\"\nvocabulary_size = 300\ntext = [\"" +
                                     texts.string() + "\"]\n");
  refuses("prepare", {"--config", config, "--out", out_},
          {"slotwise-prepare: " + texts.string() + ", line 2: expected a field \"text\""});
}

}  // namespace
}  // namespace slotwise::testing
