// SPDX-License-Identifier: Apache-2.0
#pragma once

// A program of ours, as a shell runs it: built beside the test, with its own streams.

#include <fcntl.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <cstdlib>
#include <filesystem>
#include <string>
#include <vector>

namespace cvlan::test {

class Process {
public:
    // Standard output is `out`, standard error the file `err`.
    Process(const std::string& program, std::vector<std::string> words, int out,
            const std::string& err) {
        const auto here = std::filesystem::read_symlink("/proc/self/exe").parent_path();
        words.insert(words.begin(), here / program);
        std::vector<char*> argv;
        for (std::string& word : words) argv.push_back(word.data());
        argv.push_back(nullptr);
        posix_spawn_file_actions_t files;
        posix_spawn_file_actions_init(&files);
        posix_spawn_file_actions_adddup2(&files, out, 1);
        posix_spawn_file_actions_addopen(&files, 2, err.c_str(), O_WRONLY | O_CREAT | O_TRUNC,
                                         0600);
        if (posix_spawn(&pid_, argv[0], &files, nullptr, argv.data(), environ) != 0) std::abort();
        posix_spawn_file_actions_destroy(&files);
    }
    void interrupt() const { signal(SIGINT); }
    void signal(int number) const { kill(pid_, number); }
    // Returns when it stands still.
    void stop() const {
        siginfo_t stopped{};
        signal(SIGSTOP);
        (void)waitid(P_PID, static_cast<id_t>(pid_), &stopped, WSTOPPED | WNOWAIT);
    }
    pid_t pid() const { return pid_; }
    bool has_ended() const {
        siginfo_t ended{};
        return waitid(P_PID, static_cast<id_t>(pid_), &ended, WEXITED | WNOHANG | WNOWAIT) == 0 &&
               ended.si_pid == pid_;
    }
    // As a shell tells it: the exit code, or 128 and the signal.
    int wait() const {
        int status = 0;
        waitpid(pid_, &status, 0);
        return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
    }

private:
    pid_t pid_ = -1;
};

}  // namespace cvlan::test
