#include "train/program.h"

#include <CLI/App.hpp>
#include <CLI/Config.hpp>
#include <CLI/Formatter.hpp>
#include <cstdio>
#include <filesystem>
#include <new>

#include "core/error.h"
#include "core/json_reason.h"
#include "train/interrupt.h"

namespace slotwise {

void SettingsArguments::add_to(CLI::App& app, const std::string& sections) {
  std::string names;
  for (const std::string& name : Options::preset_names())
    names += (names.empty() ? "" : ", ") + name;
  auto* by_name = app.add_option("--preset", preset, "built-in settings: " + names);
  auto* by_file =
      app.add_option("--config", config,
                     "settings file (TOML)" + (sections.empty() ? "" : "; read here: " + sections));
  by_name->type_name("NAME")->excludes(by_file);
  by_file->type_name("FILE");
  app.add_option("--set", overrides,
                 "override one setting (repeatable), e.g. --set pretrain.steps=100")
      ->type_name("SECTION.KEY=VALUE")
      ->expected(1)
      ->take_all();
}

Options SettingsArguments::load(bool required) const {
  if (required && preset.empty() && config.empty()) {
    user_error("give settings with --preset NAME or --config FILE; see --help");
  }
  Options options;
  if (!preset.empty()) options = Options::from_preset(preset);
  if (!config.empty()) options = Options::from_file(config);
  for (const std::string& assignment : overrides) options.override_with(assignment);
  options.refuse_unknown_sections();
  return options;
}

void RunArguments::add_to(CLI::App& app) {
  app.add_option("--out", run.out, "folder of this run; the same command resumes it")
      ->required()
      ->type_name("FOLDER");
  app.add_option("--seed", seed, "seed of every random choice")
      ->capture_default_str()
      ->check(CLI::Validator(CLI::NonNegativeNumber).description(""));
  app.add_option("--device", device, "cpu or cuda")->capture_default_str();
  app.add_flag("--fresh", run.fresh, "throw away what an earlier run left in --out");
  app.add_flag("--quiet", run.quiet, "print errors only");
  app.add_flag("--memory-report", run.memory_report, "print the table of allocations at the end");
  app.add_option("--stop-after", run.stop_after,
                 "save and stop after this many steps; the same command resumes")
      ->check(CLI::Range(1, 1 << 30).description(""));
}

Device RunArguments::place() const {
  if (device == "cpu") return {};
  if (device == "cuda") user_error("this build has no CUDA backend; use --device cpu");
  user_error("--device must be cpu or cuda, got '{}'", device);
}

void add_examples(CLI::App& app, const std::string& examples) {
  app.footer("Examples:\n" + examples);
  app.get_formatter()->column_width(34);
}

int exit_code(RunEnd end) {
  return end == RunEnd::finished || !interrupted() ? 0 : 130;
}

int run_program(const char* name, CLI::App& app, int argc, char** argv,
                const std::function<int()>& body) {
  app.name(name);
  app.failure_message([name](const CLI::App*, const CLI::Error& e) {
    return fmt::format("{}: {}; see {} --help\n", name, e.what(), name);
  });
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& e) {
    const int code = app.exit(e);
    return code == 0 ? 0 : 2;
  }
  catch_interrupts();
  try {
    return body();
  } catch (const std::bad_alloc&) {
    std::fprintf(stderr, "%s: out of memory on the host; use a smaller model or batch\n", name);
  } catch (const std::filesystem::filesystem_error& e) {
    std::fprintf(stderr, "%s: %s: %s\n", name, e.path1().c_str(), e.code().message().c_str());
  } catch (const std::exception& e) {
    std::fprintf(stderr, "%s: %s\n", name, json_reason(e).c_str());
  }
  return 1;
}

}  // namespace slotwise
