// Impossible settings, usage errors and requests that make no sense are refused
// (tests/train/bad_input.h).
#include "tests/train/bad_input.h"

namespace slotwise::testing {
namespace {

using BadSettings = BadInput;

TEST_F(BadSettings, ImpossibleModels) {
  settings_refused("memory.top_k=17", {"top_k (17) must not exceed sub_keys (16)"});
  settings_refused("memory.key_dim=7", {"key_dim must be even", "7"});
  settings_refused("memory.layers=[3]", {"layer 3 does not exist in a model of 3 layers"});
  settings_refused("memory.layers=[1.7]", {"a layer must be a whole number, got 1.7"});
  settings_refused("memory.layers=[true]", {"a layer must be a whole number, got true"});
  settings_refused("memory.layers=\"middle\"", {"must be a list of layer numbers"});
  settings_refused("memory.tables=[[1.2]]", {"a layer must be a whole number, got 1.2"});
  settings_refused("memory.tables=[1]", {"a list of such lists, got 1"});
  settings_refused("memory.layers=[-1]", {"layer -1 does not exist"});
  settings_refused("memory.layers=[1,1]", {"`layers` must be ascending without repeats"});
  settings_refused("memory.layers=1", {"`memory.layers` must be a list of layer numbers"});
  settings_refused("memory.tables=[[1],[]]", {"every list in `tables` must name a layer"});
  settings_refused("memory.tables=[[2]]", {"`tables` must list every layer"});
  settings_refused("memory.sub_keys=0", {"'memory.sub_keys' must be from 1"});
  settings_refused("memory.sub_keys=50000", {"sub_keys must be at most 46340"});
  settings_refused("memory.query_norm=layer", {"query_norm must be one of none, rms, batch"});
  settings_refused("model.num_attention_heads=3", {"hidden_size (16) must be a multiple"});
  settings_refused("model.num_key_value_heads=3",
                   {"num_attention_heads (2) must be a multiple of num_key_value_heads (3)"});
  settings_refused("model.head_dim=5", {"the head size must be even"});
  settings_refused("model.max_position_embeddings=4", {"the model only 4 positions"});
}

TEST_F(BadSettings, KeysAndValues) {
  settings_refused("pretrain.stepz=3",
                   {"unknown setting pretrain.stepz", "[pretrain] knows", " micro_batch,"});
  settings_refused("memory.topk=3", {"unknown setting memory.topk"});
  settings_refused("pretrian.steps=3", {"there is no section [pretrian]"});
  settings_refused("pretrain.steps=many", {"'pretrain.steps' must be an integer, got \"many\""});
  settings_refused("pretrain.steps=2.5", {"'pretrain.steps' must be an integer, got 2.5"});
  settings_refused("pretrain.steps=-3", {"'pretrain.steps' must be from 1", "got -3"});
  settings_refused("pretrain.steps=99999999999", {"'pretrain.steps' must be from 1"});
  settings_refused("pretrain.batch=0", {"'pretrain.batch' must be from 1"});
  settings_refused("pretrain.micro_batch=-1", {"'pretrain.micro_batch' must be from 0"});
  settings_refused("pretrain.learning_rate=nan", {"'pretrain.learning_rate' must be a finite"});
  settings_refused("pretrain.learning_rate=inf", {"'pretrain.learning_rate' must be a finite"});
  settings_refused("pretrain.learning_rate=-1", {"learning_rate must be above 0"});
  settings_refused("pretrain.embedding_learning_rate=-1",
                   {"pretrain.embedding_learning_rate must be at least 0, got -1"});
  settings_refused("pretrain.beta2=1.0", {"'pretrain.beta2' must be from 0"});
  settings_refused("pretrain.optimizer=adam", {"'pretrain.optimizer' must be adamw or sgd"});
  settings_refused("pretrain.schedule=step", {"schedule must be constant, linear or cosine"});
  settings_refused("memory.gate=1", {"'memory.gate' must be true or false"});
  settings_refused("evaluate.measure=F1", {"evaluate.measure must be exact or f1, got 'F1'"});
  settings_refused("evaluate.batch=0", {"'evaluate.batch' must be from 1"});
  settings_refused("model=3", {"sets one value of a section, as model.key=value; got 'model=3'"});
  settings_refused("pretrain.steps.more=3", {"does not fit"});
  settings_refused("steps", {"an override is section.key=value, got 'steps'"});
  settings_refused("=3", {"an override is section.key=value"});
  settings_refused("pretrain~x=3", {"pretrain~x"});
}

TEST_F(BadSettings, NumbersThatMakeNoModel) {
  settings_refused("memory.value_std=-0.1", {"'memory.value_std' must be from 0"});
  settings_refused("memory.key_std=-1", {"'memory.key_std' must be from 0"});
  settings_refused("memory.norm_eps=0", {"'memory.norm_eps' must be from 1e-30"});
  settings_refused("model.embedding_std=-1", {"'model.embedding_std' must be from 0"});
  settings_refused("evaluate.target=nwe",
                   {"evaluate.target must name a set of questions", "'nwe'"});
  settings_refused("evaluate.heldout=odl", {"evaluate.heldout must name", "old"});
  for (const char* huge : {"model.intermediate_size=2000000000", "memory.value_dim=2000000000",
                           "model.num_hidden_layers=2000000000"}) {
    settings_refused(huge, {"the model has", "GiB", "lower the sizes in [model] or [memory]"});
  }
}

TEST_F(BadSettings, Sources) {
  const Words rest = {"--data", data_, "--out", out_};
  refuses("pretrain", Words{"--preset", "nowhere"} + rest,
          {"there is no preset 'nowhere'", "biographies"});
  refuses("pretrain", Words{"--config", folder_ / "none.toml"} + rest,
          {"cannot read", "none.toml"});
  const fs::path broken = folder_.write("broken.toml", "[model]\nhidden_size = = 3\n");
  refuses("pretrain", Words{"--config", broken} + rest, {"broken.toml, line 2"});
  refuses("pretrain", rest, {"give settings with --preset NAME or --config FILE"});
  refuses("pretrain", Words{"--preset", "smoke", "--config", broken} + rest, {"--config"}, 2);
}

TEST_F(BadSettings, Usage) {
  refuses("pretrain", {"--preset", "smoke"}, {"--data is required"}, 2);
  refuses("pretrain", world().pretrain(out_) + Words{"--frehs"}, {"--frehs"}, 2);
  for (const char* seed : {"-4", "18446744073709551616", "1.5", "one", ""}) {
    refuses("pretrain", world().pretrain(out_) + Words{"--seed", seed},
            {"--seed: a seed is a whole number from 0 to 18446744073709551615, got '" +
             std::string(seed) + "'"},
            2);
  }
  refuses("pretrain", world().pretrain(out_) + Words{"--threads", "0"}, {"--threads"}, 2);
  refuses("pretrain", world().pretrain(out_) + Words{"--device", "tpu"},
          {"--device must be auto, cpu, cuda or cuda:N, got 'tpu'"});
  refuses("evaluate", {"--checkpoint", checkpoint_, "--data", data_, "--batch", "0"}, {"--batch"},
          2);
  refuses("inspect", {"--checkpoint", checkpoint_, "--logits-for", "x"}, {"--out-logits"}, 2);
}

TEST_F(BadSettings, NumbersOutOfRange) {
  const auto refused = [&](const std::string& program, const Words& rest, const Words& numbers) {
    for (const std::string& number : numbers) {
      refuses(program, Words{"--checkpoint", checkpoint_} + rest + Words{number}, {rest.back()}, 2);
    }
  };
  refused("evaluate", {"--data", data_, "--show"}, {"-3", "1.5"});
  refused("generate", {"--prompt", "where", "--temperature"}, {"-1", "inf"});
  refused("generate", {"--prompt", "where", "--top-k"}, {"-1"});
  refused("generate", {"--prompt", "where", "--top-p"}, {"0", "-1", "1.5"});
  refused("inspect", {"--data", data_, "--record-trace", folder_ / "trace", "--trace-table"},
          {"-1"});
  for (const char* option : {"--temperature", "--top-p"}) {  // to a range NaN is no number outside
    refuses(
        "generate",
        {"--checkpoint", checkpoint_, "--prompt", "where", "--max-new-tokens", "2", option, "nan"},
        {"sampling needs temperature >= 0"});
  }
}

// They are counted after the pretraining, and looked at before it.
TEST_F(BadSettings, BackgroundsOfASweep) {
  const auto refused = [&](const std::string& background, const Words& phrases,
                           const Words& more = {}) {
    const Words sweep = {"--preset", "smoke", "--out", out_};
    refuses("pareto",
            sweep + more + Words{"--set", "pareto.backgrounds=[{name=\"b\"," + background + "}]"},
            phrases);
  };
  refused("parts=[\"text\",\"txet\"]",
          {"pareto.backgrounds, b: the data has no part 'txet'; it has old_questions, "
           "old_statements, text"});
  refused("questions=\"nwe\"",
          {"the data has no questions 'nwe'; it has new, new_statements, old"});
  refused("parts=[\"text\"],facts=true", {"give one of parts, facts and questions"});
  refused("settings={batch=0}", {"pareto.backgrounds, b: ", "'background.batch' must be from 1"});
  refused("settings={bach=2}", {"unknown setting background.bach"});
  refused("facts=true", {"[background]: ", "'background.batches' must be from 1"},
          {"--set", "background.batches=0"});
  const Words text = {"--set", "data.kind=text"};
  refused("facts=true", {"the data has no facts"}, text);
  refused("parts=[\"old_questions\"]", {"the data has no part 'old_questions'; it has text"}, text);
  // A dataset that is there says itself what it has.
  const fs::path data = out_ / "seed-0/data";
  fs::create_directories(data.parent_path());
  fs::copy(data_, data);
  json manifest = json::parse(read_file(data / "dataset.json"));
  manifest["parts"].erase(2);
  overwrite(data / "dataset.json", manifest.dump());
  refused("parts=[\"text\"]",
          {"the data has no part 'text'; it has old_questions, old_statements"});
}

TEST_F(BadSettings, EvaluationsThatDoNotFit) {
  const std::string file = data_ / "questions_new.jsonl";
  const Words model = {"--checkpoint", checkpoint_};
  refuses("evaluate", model + Words{"--questions", "a=" + file, "a=" + file},
          {"two sets of questions 'a' for answers", "NAME=FILE"});
  refuses("evaluate", model + Words{"--multiple-choice", file}, {"a row has no \"choices\""});
  refuses("evaluate", model + Words{"--data", data_, "--base", checkpoint_, "--memory-off"},
          {"leave out --memory-off"});
  refuses("evaluate", model + Words{"--multiple-choice", "a=missing.jsonl"}, {"missing.jsonl"});
  refuses("evaluate", model + Words{"--questions", file, "--limit", "-1"}, {"--limit"}, 2);
}

TEST_F(BadSettings, FinetuningThatDoesNotFit) {
  const auto refused = [&](const std::string& method, const Words& more, const Words& phrases,
                           int code = 1) {
    refuses("finetune", world().finetune(out_, method) + more, phrases, code);
  };
  refused("prompting", {}, {"--method must be one of full, lora, smf", "got 'prompting'"});
  refused("smf", {"--optimizer", "lion"}, {"--optimizer must be adam or sgd", "'lion'"});
  refused("full", {"--set", "finetune.steps=-5"}, {"'finetune.steps' must be from 1"});
  refused("full", {"--set", "finetune.facts=0"}, {"'finetune.facts' must be from 1"});
  refused("full", {"--set", "finetune.order=random"}, {"finetune.order must be shuffled or"});
  refused("full",
          {"--set", "finetune.retention_every=5", "--set", "finetune.retention_questions=x"},
          {"has no questions \"x\""});
  refused("smf", {"--set", "finetune.row_beta1=1"}, {"'finetune.row_beta1' must be"});
  refused("full", {"--set", "finetune.append_eos=true"}, {"the tokenizer has none"});
  Words words = world().finetune(out_, "smf");
  *std::find(words.begin(), words.end(), "12") = "0";
  refuses("finetune", words, {"--method smf needs --rows of at least 1"});
  for (const char* rate : {"nan", "inf", "-1", "0"}) {
    words = world().finetune(out_, "full");
    *std::find(words.begin(), words.end(), "0.001") = rate;
    refuses("finetune", words, {"--learning-rate must be a positive number, got"});
  }
  words = world().finetune(out_, "lora");
  *std::find(words.begin(), words.end(), "2") = "-2";
  refuses("finetune", words, {"--method lora needs --rank of at least 1"});
}

TEST_F(BadSettings, OptionsThatTheMethodDoesNotUse) {
  const auto refused = [&](const std::string& method, const Words& more, const Words& phrases) {
    refuses("finetune", world().finetune(out_, method) + more, phrases);
  };
  for (const char* method : {"full", "lora", "all_rows"}) {
    refused(method, {"--rows", "12"},
            {std::string("--method ") + method + " does not use --rows", "smf, tf and random"});
  }
  for (const char* method : {"full", "smf", "all_rows"}) {
    refused(method, {"--rank", "2"}, {"does not use --rank", "belongs to lora"});
  }
  for (const char* method : {"full", "lora"}) {
    refused(method, {"--optimizer", "adam"}, {"does not use --optimizer", "all_rows"});
  }
  Words words = world().finetune(out_, "lora");
  *std::find(words.begin(), words.end(), "2") = "17";
  refuses("finetune", words, {"--rank 17 is more than", "at most 16"});
  words = world().finetune(out_, "tf");
  *std::find(words.begin(), words.end(), "12") = "257";
  refuses("finetune", words, {"--rows 257 is more than the memory's 256 slots"});
}

TEST_F(BadSettings, MemoryMethodsWithoutAMemory) {
  run_well("pretrain", world().pretrain(folder_ / "plain") +
                           Words{"--set", "memory.layers=[]", "--set", "pretrain.steps=1"});
  TinyWorld plain = world();
  plain.checkpoint = folder_ / "plain/checkpoint";
  for (const char* method : {"smf", "tf", "random", "all_rows"}) {
    refuses("finetune", plain.finetune(out_, method), {"has no memory layer"});
  }
  refuses("background",
          {"--config", plain.settings, "--checkpoint", plain.checkpoint, "--data", data_},
          {"this one has none"});
  refuses("inspect", {"--checkpoint", plain.checkpoint, "--text", "where"},
          {"has no memory layer"});
  refuses("evaluate", {"--checkpoint", plain.checkpoint, "--data", data_, "--memory-off"},
          {"has no memory layer"});
}

using BadRequests = BadInput;

TEST_F(BadRequests, Generation) {
  const Words model = {"--checkpoint", checkpoint_};
  refuses("generate", model, {"nothing to continue"});
  refuses("generate", model + Words{"--prompts", folder_ / "none.txt"}, {"cannot read"});
  refuses("generate", model + Words{"--prompt", "\xff"}, {"UTF-8"});
  refuses("generate", model + Words{"--prompt", "qwertyuiop"}, {"qwertyuiop"});
  refuses("generate", model + Words{"--prompt", "where", "--max-new-tokens", "100"},
          {"do not fit into the model's 32 positions"});
  // Found before the first batch is printed.
  std::string longer;
  for (int i = 0; i < 40; ++i) longer += " where";
  const fs::path lines = folder_.write("lines.txt", "where\n" + longer + "\nwhere\n");
  refuses("generate", model + Words{"--prompts", lines, "--batch", "1", "--max-new-tokens", "2"},
          {"prompt 2 of 3 has 41 tokens"});
  refuses("generate",
          model + Words{"--prompt", "where", "--max-new-tokens", "2", "--temperature", "nan"},
          {"temperature"});
  refuses("generate", model + Words{"--prompt", "where", "--max-new-tokens", "2", "--top-p", "1.5"},
          {"top-p"}, 2);
  refuses("generate", model + Words{"--prompt", "where", "--stop", "qwertyuiop"},
          {"is not a token of this model"});
}

TEST_F(BadRequests, Logits) {
  const fs::path tokens = folder_ / "tokens.json";
  const Words command = {"--checkpoint", checkpoint_,    "--logits-for",
                         tokens,         "--out-logits", folder_ / "logits.safetensors"};
  refuses("inspect", command, {"cannot read", "tokens.json"});
  const std::pair<const char*, const char*> files[] = {{"[[1, 2], [3]]", "lists of equal length"},
                                                       {"[]", "expected a list of lists"},
                                                       {"{}", "expected a list of lists"},
                                                       {"[[1, 99999]]", "99999 is no token"},
                                                       {"[[1, -1]]", "-1 is no token"},
                                                       {"[[1, 2.5]]", "2.5 is no token"},
                                                       {"[[1, 2", "broken JSON"}};
  for (const auto& [text, phrase] : files) {
    overwrite(tokens, text);
    refuses("inspect", command, {phrase});
  }
  overwrite(tokens, json(std::vector<std::vector<int>>(1, std::vector<int>(33, 1))).dump());
  refuses("inspect", command, {"33 tokens are more than the model's 32 positions"});
}

}  // namespace
}  // namespace slotwise::testing
