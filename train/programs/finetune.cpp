// slotwise-finetune: teaches the facts of a dataset to a pretrained model.
#include <CLI/App.hpp>
#include <CLI/Config.hpp>
#include <CLI/Formatter.hpp>

#include "train/finetune_run.h"
#include "train/finetune_setup.h"
#include "train/program.h"

int main(int argc, char** argv) {
  CLI::App app{
      "Teaches new facts to a model: by sparse memory finetuning (smf), by its rivals in the "
      "choice of rows\n"
      "(tf, random, all_rows), by LoRA or by full finetuning. Old and new knowledge are measured "
      "on the way."};
  slotwise::SettingsArguments settings;
  slotwise::RunArguments run;
  slotwise::FinetuneRequest request;
  bool drop_checkpoint = false;
  app.add_option("--checkpoint", request.checkpoint, "pretrained model")
      ->required()
      ->type_name("FOLDER");
  app.add_option("--data", request.data, "dataset folder with facts and questions")
      ->required()
      ->type_name("FOLDER");
  app.add_option("--method", request.method, "full, lora, smf, tf, random or all_rows")
      ->required()
      ->type_name("NAME");
  app.add_option("--learning-rate", request.learning_rate, "peak learning rate")->required();
  app.add_option("--optimizer", request.row_optimizer,
                 "row optimizer of smf, tf, random and all_rows: adam (default) or sgd");
  app.add_option("--rows", request.rows,
                 "value rows that a step may change, the paper's t (smf, tf, random)");
  app.add_option("--rank", request.rank, "rank of the LoRA adapters (lora)");
  settings.add_to(app, "[finetune] [evaluate]");
  run.add_to(app);
  app.add_flag("--no-checkpoint", drop_checkpoint, "keep the measurements, not the finished model");
  slotwise::add_examples(app,
                         "  slotwise-finetune --preset biographies --checkpoint "
                         "out/pretrain/checkpoint --data out/data \\\n"
                         "      --method smf --rows 256 --learning-rate 0.05 --out out/smf\n"
                         "  slotwise-finetune --preset biographies --checkpoint "
                         "out/pretrain/checkpoint --data out/data \\\n"
                         "      --method smf --rows 256 --learning-rate 0.05 --set "
                         "finetune.rule=df --out out/df\n"
                         "  slotwise-finetune --preset biographies --checkpoint "
                         "out/pretrain/checkpoint --data out/data \\\n"
                         "      --method lora --rank 32 --learning-rate 2e-4 --out out/lora");
  const char* name = "slotwise-finetune";
  return slotwise::run_program(name, app, argc, argv, [&] {
    const auto train = [&](const auto& group) {
      run.join(group);
      request.run = run.run;
      request.device = run.place();
      request.product_type = run.product_type();
      return slotwise::exit_code(slotwise::finetune(request));
    };
    const auto expect = [&](int ranks) {
      request.options = settings.load();
      request.overrides = settings.overrides;
      request.seed = run.seed;
      request.keep_checkpoint = !drop_checkpoint;
      const slotwise::FactStreamOptions batch = slotwise::read_finetune_settings(request).stream;
      slotwise::expect_rows_for_shards(
          std::int64_t{batch.facts_per_batch} * batch.wordings_per_fact,
          slotwise::shards_of_run(run.run, ranks));
    };
    return slotwise::run_ranks(name, run.ranks, argc, argv, train, expect);
  });
}
