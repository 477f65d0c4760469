// SPDX-License-Identifier: Apache-2.0
#include "base/program.h"

#include <signal.h>

#include <cstdio>
#include <utility>

#include "base/openssl_provider.h"
#include "base/systemd.h"
#include "base/version.h"

namespace cvlan {

int Program::fail_with(const Error& error, int status) const {
    fmt::print(stderr, "{}: {}\n", name_, error.message);
    return status;
}

int Program::main(int argc, char** argv, const Parts& parts) {
    try {
        offer_only_used_keys();
        CLI::App app{parts.title};
        app.add_option("--config", flags_.config, "configuration file")->capture_default_str();
        app.add_option("--state-dir", flags_.state_dir, "instead of the configuration's");
        app.add_option("--log-level", flags_.log_level, "debug, info, warn or error");
        app.add_flag("--check-config", flags_.check_config, "check the configuration and end");
        app.add_flag("--print-config", flags_.print_config,
                     "print the whole configuration and end");
        app.set_version_flag("--version", name_ + " " + kVersion);
        parts.add_flags(app);
        try {
            app.parse(argc, argv);
        } catch (const CLI::ParseError& error) {
            return app.exit(error) == 0 ? 0 : kUsage;
        }
        return parts.run();
    } catch (const std::exception& error) {
        std::fprintf(stderr, "%s: %s\n", name_.c_str(), error.what());
        return kFailed;
    }
}

void begin_work(log::Level level) {
    log::set_level(level);
    signal(SIGPIPE, SIG_IGN);
    harden_process();
}

void run_until_told(EventLoop& loop, const std::function<void(std::function<void()> done)>& end) {
    bool is_stopping = false;
    const auto stop = [&] {
        if (std::exchange(is_stopping, true)) return loop.stop();
        sd_notify("STOPPING=1");
        end([&] { loop.stop(); });
    };
    const Watch term = loop.on_signal(SIGTERM, stop);
    const Watch interrupt = loop.on_signal(SIGINT, stop);
    sd_notify("READY=1");
    loop.run();
}

}  // namespace cvlan
