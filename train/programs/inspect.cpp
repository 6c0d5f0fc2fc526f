// slotwise-inspect: what a checkpoint holds and how it uses its memory.
#include <CLI/App.hpp>
#include <CLI/Config.hpp>
#include <CLI/Formatter.hpp>

#include "train/inspection.h"
#include "train/program.h"

int main(int argc, char** argv) {
  CLI::App app{
      "Shows what a checkpoint holds: shape, tensors, memory, background. With --data the usage of "
      "the memory's slots\n"
      "over held-out text; with --text the slots that each token of a text reads most."};
  slotwise::InspectRequest request;
  slotwise::DeviceArgument device;
  app.add_option("--checkpoint", request.checkpoint, "model to look at")
      ->required()
      ->type_name("FOLDER");
  app.add_flag("--tensors", request.tensors, "list every tensor with its norm");
  auto* data =
      app.add_option("--data", request.data, "dataset folder: slot usage over its held-out text")
          ->type_name("FOLDER");
  app.add_option("--text", request.texts, "text whose slots are listed (repeatable)");
  app.add_option("--top", request.top, "slots listed for a token")
      ->capture_default_str()
      ->check(CLI::Range(1, 1 << 20).description(""));
  auto* tokens = app.add_option("--logits-for", request.logits_tokens,
                                "JSON list of token lists of equal length: write their logits")
                     ->type_name("FILE");
  app.add_option("--out-logits", request.logits_out,
                 "where to: safetensors with `logits` [lists, tokens, vocabulary]")
      ->type_name("FILE")
      ->needs(tokens);
  tokens->needs("--out-logits");
  auto* trace = app.add_option("--record-trace", request.trace,
                               "write the slots that held-out text reads, for memory_bench --trace")
                    ->type_name("FILE")
                    ->needs(data);
  app.add_option("--trace-batches", request.trace_batches, "batches of 64 rows in a trace")
      ->capture_default_str()
      ->check(CLI::Range(1, 1 << 20).description(""))
      ->needs(trace);
  app.add_option("--trace-table", request.trace_table, "value table of a trace, from 0")
      ->capture_default_str()
      ->check(CLI::Range(0, 1 << 20).description(""))
      ->needs(trace);
  device.add_to(app);
  slotwise::add_examples(app,
                         "  slotwise-inspect --checkpoint out/pretrain/checkpoint --tensors\n"
                         "  slotwise-inspect --checkpoint out/pretrain/checkpoint --data out/data\n"
                         "  slotwise-inspect --checkpoint out/pretrain/checkpoint --data out/data "
                         "--record-trace trace.safetensors\n"
                         "  slotwise-inspect --checkpoint out/pretrain/checkpoint --text 'where "
                         "was first3 last9 born ?'\n"
                         "  slotwise-inspect --checkpoint out/pretrain/checkpoint --logits-for "
                         "tokens.json --out-logits logits.safetensors");
  return slotwise::run_program("slotwise-inspect", app, argc, argv, [&] {
    request.device = device.place(stderr);
    slotwise::inspect(request);
    return 0;
  });
}
