// SPDX-License-Identifier: Apache-2.0
// cvlanctl: the streams and the process; cli/commands.cc is the table of what it can do.
#include <unistd.h>

#include <csignal>
#include <cstdlib>
#include <cstring>
#include <thread>

#include "cli/cli.h"

namespace cvlan::cli {

// Standard output, with the reason why it failed, which std::cout forgets.
class FdBuffer : public std::streambuf {
public:
    explicit FdBuffer(int fd) : fd_(fd) {}
    int failure() const { return failure_; }

protected:
    int_type overflow(int_type c) override {
        if (c != traits_type::eof()) held_ += traits_type::to_char_type(c);
        return held_.size() < (64u << 10) || sync() == 0 ? traits_type::not_eof(c)
                                                         : traits_type::eof();
    }
    int sync() override {
        std::string_view rest = held_;
        while (!rest.empty() && failure_ == 0) {
            const ssize_t written = write(fd_, rest.data(), rest.size());
            if (written >= 0)
                rest.remove_prefix(static_cast<size_t>(written));
            else if (errno != EINTR)
                failure_ = errno;
        }
        held_.clear();
        return failure_ == 0 ? 0 : -1;
    }

private:
    int fd_;
    int failure_ = 0;
    std::string held_;
};

static int run_process(int argc, char** argv) {
    std::signal(SIGPIPE, SIG_IGN);
    const SystemClock clock;
    const char* terminal = std::getenv("TERM");
    const char* no_colour = std::getenv("NO_COLOR");
    FdBuffer buffer(STDOUT_FILENO);
    std::ostream out(&buffer);
    Io io{out, std::cerr, std::cin, clock};
    io.in_is_terminal = isatty(STDIN_FILENO) == 1;
    io.colour = isatty(STDOUT_FILENO) == 1 && (!no_colour || !*no_colour) &&
                !(terminal && std::strcmp(terminal, "dumb") == 0);
    io.pause = [](std::chrono::milliseconds time) { std::this_thread::sleep_for(time); };
    const int code = run({argv + 1, argv + argc}, io);
    out.flush();
    // A reader that has seen enough (`| head`) is no failure; a full disk is.
    if (buffer.failure() == 0 || buffer.failure() == EPIPE) return code;
    std::cerr << "cvlanctl: standard output: " << std::strerror(buffer.failure()) << '\n';
    return kFailed;
}

}  // namespace cvlan::cli

int main(int argc, char** argv) {
    try {
        return cvlan::cli::run_process(argc, argv);
    } catch (const std::exception& error) {
        std::cerr << "cvlanctl: " << error.what() << '\n';
        return cvlan::cli::kFailed;
    }
}
