// SPDX-License-Identifier: Apache-2.0
#pragma once

// A disk under SQLite that fails when it is told to, and that has after a power cut what was synced
// and nothing else. It begins with the files that are opened while it is there. After a failed sync
// what that was to write is gone, though it can still be read, as Linux has it.
//
// One at a time. SQLite's memory that processes share (-shm) is not on it.

#include <sqlite3.h>

#include <algorithm>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <limits>
#include <map>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

namespace cvlan::test {

class FaultyDisk {
public:
    using Image = std::map<std::string, std::string>;  // content by the file's name
    enum class Step { Write, Sync };

    FaultyDisk() : real_(sqlite3_vfs_find(nullptr)), vfs_(*real_) {
        vfs_.zName = "faulty";
        vfs_.xOpen = open;
        vfs_.xDelete = remove;
        present_ = this;
        sqlite3_vfs_register(&vfs_, 1);
    }
    FaultyDisk(const FaultyDisk&) = delete;
    FaultyDisk& operator=(const FaultyDisk&) = delete;
    // All files have been closed before.
    ~FaultyDisk() {
        sqlite3_vfs_register(real_, 1);
        sqlite3_vfs_unregister(&vfs_);
        present_ = nullptr;
    }

    // The nth such step from now on fails with this code of SQLite's, and all after it until
    // heal(); `once`: that one alone.
    void fail(Step step, int nth, int code, bool once = false) {
        const std::lock_guard lock(mutex_);
        fault_ = Fault{step, nth, code, once};
        has_failed_ = false;
    }
    void heal() {
        const std::lock_guard lock(mutex_);
        fault_.reset();
    }
    bool has_failed() {
        const std::lock_guard lock(mutex_);
        return has_failed_;
    }
    // How often a file of this name was opened.
    int opened(const std::string& name) {
        const std::lock_guard lock(mutex_);
        return opened_[name];
    }
    // What a power cut after each sync would have left, since this was asked for last.
    std::vector<Image> images() {
        const std::lock_guard lock(mutex_);
        return std::exchange(images_, {});
    }
    // What a power cut now leaves.
    Image image() {
        const std::lock_guard lock(mutex_);
        return image_locked();
    }
    static void write_to(const std::string& folder, const Image& image) {
        std::filesystem::create_directory(folder);
        for (const auto& [name, content] : image)
            std::ofstream(folder + "/" + name, std::ios::binary) << content;
    }
    bool keeps_images = false;

private:
    struct Fault {
        Step step;
        int left;  // until it strikes
        int code;
        int times;
    };
    struct Open {
        std::string path;
        const sqlite3_io_methods* real;
    };
    struct Write {
        size_t offset;
        std::optional<std::string> bytes;  // none: the file ends there
    };
    struct File {
        std::string synced;
        std::vector<Write> waiting;
    };

    int fault(Step step) {
        if (!fault_ || fault_->step != step || --fault_->left > 0) return SQLITE_OK;
        const int code = fault_->code;
        has_failed_ = true;
        if (--fault_->times == 0) fault_.reset();
        return code;
    }
    Image image_locked() const {
        Image image;
        for (const auto& [path, file] : files_)
            image[std::filesystem::path(path).filename()] = file.synced;
        return image;
    }
    int note_write(sqlite3_file* file, Write write) {
        const std::lock_guard lock(mutex_);
        if (const int code = write.bytes ? fault(Step::Write) : SQLITE_OK; code != SQLITE_OK)
            return code;
        files_[open_.at(file).path].waiting.push_back(std::move(write));
        return SQLITE_OK;
    }
    int note_sync(sqlite3_file* file) {
        const std::lock_guard lock(mutex_);
        File& known = files_[open_.at(file).path];
        const auto waiting = std::exchange(known.waiting, {});
        if (const int code = fault(Step::Sync); code != SQLITE_OK) return code;
        for (const Write& write : waiting) {
            const size_t size = write.bytes ? write.bytes->size() : 0;
            if (!write.bytes || known.synced.size() < write.offset + size)
                known.synced.resize(write.offset + size);
            if (write.bytes) known.synced.replace(write.offset, size, *write.bytes);
        }
        if (keeps_images) images_.push_back(image_locked());
        return SQLITE_OK;
    }

    static const sqlite3_io_methods* real_of(sqlite3_file* file) {
        const std::lock_guard lock(present_->mutex_);
        return present_->open_.at(file).real;
    }
    static int open(sqlite3_vfs*, const char* name, sqlite3_file* file, int flags, int* out) {
        FaultyDisk& disk = *present_;
        const int code = disk.real_->xOpen(disk.real_, name, file, flags, out);
        if (code != SQLITE_OK || !name) return code;
        const std::lock_guard lock(disk.mutex_);
        // SQLite has a table for the file and another for what lies beside it.
        sqlite3_io_methods& methods = disk.methods_[file->pMethods];
        methods = *file->pMethods;
        methods.xClose = close;
        methods.xWrite = write;
        methods.xTruncate = truncate;
        methods.xSync = sync;
        disk.open_[file] = {name, std::exchange(file->pMethods, &methods)};
        ++disk.opened_[std::filesystem::path(name).filename()];
        return code;
    }
    static int remove(sqlite3_vfs*, const char* name, int sync) {
        FaultyDisk& disk = *present_;
        const std::lock_guard lock(disk.mutex_);
        disk.files_.erase(name);
        return disk.real_->xDelete(disk.real_, name, sync);
    }
    static int close(sqlite3_file* file) {
        const sqlite3_io_methods* real = real_of(file);
        const std::lock_guard lock(present_->mutex_);
        present_->open_.erase(file);
        return real->xClose(file);
    }
    static int write(sqlite3_file* file, const void* bytes, int size, sqlite3_int64 offset) {
        const std::string text(static_cast<const char*>(bytes), static_cast<size_t>(size));
        const int code = present_->note_write(file, {static_cast<size_t>(offset), text});
        return code != SQLITE_OK ? code : real_of(file)->xWrite(file, bytes, size, offset);
    }
    static int truncate(sqlite3_file* file, sqlite3_int64 size) {
        (void)present_->note_write(file, {static_cast<size_t>(size), std::nullopt});
        return real_of(file)->xTruncate(file, size);
    }
    static int sync(sqlite3_file* file, int flags) {
        const int code = present_->note_sync(file);
        return code != SQLITE_OK ? code : real_of(file)->xSync(file, flags);
    }

    static inline FaultyDisk* present_ = nullptr;

    sqlite3_vfs* real_;
    sqlite3_vfs vfs_;
    std::mutex mutex_;
    std::map<sqlite3_file*, Open> open_;
    std::map<const sqlite3_io_methods*, sqlite3_io_methods> methods_;  // in the real ones' places
    std::map<std::string, File> files_;                                // by path
    std::map<std::string, int> opened_;
    std::optional<Fault> fault_;
    bool has_failed_ = false;
    std::vector<Image> images_;
};

}  // namespace cvlan::test
