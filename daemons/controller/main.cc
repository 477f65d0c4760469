// SPDX-License-Identifier: Apache-2.0
// cvlan-controller: flags, signals, exit codes. 0, 1, 2 usage, 78 configuration.

#include <grp.h>
#include <sys/stat.h>
#include <unistd.h>
#include <CLI/CLI.hpp>

#include <csignal>
#include <functional>

#include "base/loop_thread.h"
#include "base/openssl_provider.h"
#include "base/systemd.h"
#include "base/version.h"
#include "daemons/controller/clock_watch.h"
#include "daemons/controller/controller.h"
#include "daemons/controller/maintenance.h"
#include "daemons/controller/pki_commands.h"

namespace {

using namespace cvlan;
using namespace cvlan::controller;

constexpr int kUsage = 2;
constexpr int kBadConfig = 78;

int complain(const Error& error, int exit_code) {
    fmt::print(stderr, "cvlan-controller: {}\n", error.message);
    return exit_code;
}

// Root's setup makes files for the service's user: it becomes the owner of the state folder, where
// the package has made that one.
Result<void> become_owner_of(const std::string& folder) {
    if (geteuid() != 0) return {};
    struct stat found {};
    if (stat(folder.c_str(), &found) != 0)
        return errno == ENOENT ? Result<void>() : failed(errno_error("stat " + folder));
    if (found.st_uid == 0) return {};
    if (setgroups(0, nullptr) != 0 || setgid(found.st_gid) != 0 || setuid(found.st_uid) != 0)
        return failed(errno_error("become the owner of " + folder));
    return {};
}

int set_up_once(const ControllerConfig& config, const std::string& server_name) {
    if (auto owner = become_owner_of(config.state_dir); !owner) return complain(owner.error(), 1);
    // Before a key is in memory, and after the change of user, which undoes it (prctl(2)).
    harden_process();
    auto made = set_up(config, server_name, SystemClock());
    if (!made) return complain(made.error(), made.error().code == Code::NotFound ? kBadConfig : 1);
    fmt::print(
        stderr, "cvlan-controller: {} {}\n", config.state_dir,
        *made ? "is ready; start cvlan-controller now" : "was set up before; nothing changed");
    return 0;
}

int run(const ControllerConfig& config) {
    log::set_level(config.log_level);
    harden_process();
    EventLoop loop;
    const SystemClock system;
    const AnchoredClock clock(system);
    auto controller = Controller::start(loop, config, clock);
    if (!controller) {
        // Starting again would not help.
        const Code code = controller.error().code;
        const bool is_for_good = code == Code::NotFound || code == Code::Unsupported;
        return complain(controller.error(), is_for_good ? kBadConfig : 1);
    }
    bool stopping = false;
    const auto stop = [&] {
        if (stopping) return loop.stop();  // asked twice: now
        stopping = true;
        sd_notify("STOPPING=1");
        log::info("controller.draining");
        (*controller)->drain([&] { loop.stop(); });
    };
    ClockWatch clock_watch(clock);
    const Timer watching = loop.every(ClockWatch::kEvery, [&] { clock_watch.look(); });
    const Watch on_term = loop.on_signal(SIGTERM, stop);
    const Watch on_int = loop.on_signal(SIGINT, stop);
    sd_notify("READY=1");
    log::info("controller.ready", {{"version", kVersion}});
    ask_for_short_slices();
    loop.run();
    return 0;
}

// A command that works on the database as a whole.
struct Maintenance {
    std::string file;
    bool only_try = false;
    std::function<int(const ControllerConfig&)> run;  // empty: none was asked for
};

void add_maintenance(CLI::App& app, Maintenance& asked) {
    using Config = const ControllerConfig&;
    CLI::App* save = app.add_subcommand("backup", "Copy the database, while a controller may run");
    save->add_option("FILE", asked.file, "Where to; must not be there")->required();
    save->callback([&] { asked.run = [&](Config config) { return backup(config, asked.file); }; });
    CLI::App* load = app.add_subcommand("restore", "Put a copy in the database's place");
    load->add_option("FILE", asked.file, "A copy that backup made")->required();
    load->callback([&] { asked.run = [&](Config config) { return restore(config, asked.file); }; });
    CLI::App* epoch = app.add_subcommand("new-epoch", "Void every map, after another restore");
    epoch->callback([&] { asked.run = new_epoch; });
    CLI::App* db = app.add_subcommand("db", "What concerns the database")->require_subcommand(1);
    CLI::App* check = db->add_subcommand("check", "Look for damage, and for what breaks our rules");
    check->callback([&] { asked.run = check_db; });
    CLI::App* up = app.add_subcommand("migrate", "Bring the schema to this program's");
    up->add_flag("--dry-run", asked.only_try, "Only try it, on a copy");
    up->callback(
        [&] { asked.run = [&](Config config) { return migrate(config, asked.only_try); }; });
    for (CLI::App* sub : {save, load, epoch, db, check, up}) sub->fallthrough();
}

int start(int argc, char** argv) {
    offer_only_used_keys();
    CLI::App app{"The CloudVLAN controller: see cvlan-controller(8)."};
    std::string config_path = "/etc/cvlan/controller.toml";
    std::string server_name;
    bool check = false, print = false, trusts_clock = false;
    app.set_version_flag("--version", kVersion);
    app.add_option("--config", config_path, "Configuration file")->capture_default_str();
    app.add_flag("--check-config", check, "Check the configuration and end");
    app.add_flag("--print-config", print, "Print the configuration in effect and end");
    app.add_flag("--trust-clock", trusts_clock, "Start although the clock is behind the database");
    CLI::App* setup = app.add_subcommand("setup", "Make CA, keys and database, once");
    setup->add_option("--config", config_path, "Configuration file");
    setup->add_option("--server-name", server_name,
                      "Name or address that nodes find this controller by");
    PkiCommands pki(app);
    Maintenance maintenance;
    add_maintenance(app, maintenance);
    try {
        app.parse(argc, argv);
    } catch (const CLI::ParseError& error) {
        return app.exit(error) == 0 ? 0 : kUsage;
    }
    auto config = load_config(config_path);
    if (!config) return complain(config.error(), kBadConfig);
    config->trusts_clock = trusts_clock;
    if (print) fmt::print("{}", print_config(*config));
    if (check || print) return 0;
    if (pki.is_asked()) {
        if (auto owner = become_owner_of(config->state_dir); !owner)
            return complain(owner.error(), 1);
        harden_process();
        return pki.run(*config, SystemClock());
    }
    if (maintenance.run) return maintenance.run(*config);
    return setup->parsed() ? set_up_once(*config, server_name) : run(*config);
}

}  // namespace

int main(int argc, char** argv) {
    try {
        return start(argc, argv);
    } catch (const std::exception& error) {  // of a library: we throw nothing
        std::fprintf(stderr, "cvlan-controller: %s\n", error.what());
        return 1;
    }
}
