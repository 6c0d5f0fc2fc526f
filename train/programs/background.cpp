// slotwise-background: counts in how many batches of the pretraining data each memory slot is read.
#include <CLI/App.hpp>
#include <CLI/Config.hpp>
#include <CLI/Formatter.hpp>

#include "train/background_run.h"
#include "train/program.h"

int main(int argc, char** argv) {
  CLI::App app{
      "Measures the background of TF-IDF: for each memory slot, the number of pretraining batches "
      "that read it.\n"
      "Written into the checkpoint as background.safetensors. The shape of a batch matters: a "
      "large one touches\n"
      "most slots and flattens the ranking; the histogram printed at the end shows it. Other "
      "corpora than the\n"
      "pretraining mixture can be counted beside it under a name, and finetuning chooses one by "
      "finetune.background."};
  slotwise::SettingsArguments settings;
  slotwise::BackgroundRequest request;
  slotwise::DeviceArgument device;
  app.add_option("--checkpoint", request.checkpoint, "pretrained model")
      ->required()
      ->type_name("FOLDER");
  app.add_option("--data", request.data, "dataset folder it was pretrained on")
      ->required()
      ->type_name("FOLDER");
  app.add_option("--name", request.name,
                 "write background.NAME.safetensors, for finetune.background = \"NAME\"")
      ->type_name("NAME");
  auto* parts = app.add_option("--parts", request.corpus.parts,
                               "count over these parts of the data only: text,old_questions")
                    ->type_name("NAMES")
                    ->delimiter(',');
  auto* facts = app.add_flag("--facts", request.corpus.facts,
                             "count over the facts that finetuning will teach")
                    ->excludes(parts);
  app.add_option("--questions", request.corpus.questions,
                 "count over a question set of the data, with answers")
      ->type_name("ROLE")
      ->excludes(parts)
      ->excludes(facts);
  settings.add_to(app, "[background]");
  slotwise::add_seed(app, request.seed, "seed of the choice of batches");
  device.add_to(app);
  app.add_flag("--quiet", request.quiet, "print errors only");
  app.add_flag("--fresh", request.fresh, "measure again although the checkpoint has a background");
  slotwise::add_examples(app,
                         "  slotwise-background --preset biographies --checkpoint "
                         "out/pretrain/checkpoint --data out/data\n"
                         "  slotwise-background --preset biographies --set background.batch=1 "
                         "--checkpoint ... --data ... --name single\n"
                         "  slotwise-background --preset biographies --checkpoint ... --data ... "
                         "--name text --parts text");
  return slotwise::run_program("slotwise-background", app, argc, argv, [&] {
    request.options = settings.load();
    request.device = device.place(request.quiet ? nullptr : stdout);
    return slotwise::exit_code(slotwise::measure_background(request));
  });
}
