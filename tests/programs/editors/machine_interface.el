;; Emacs' own client of gdb's machine interface looks at a crash, and says what it shows. GDB_LINE is what a user types.
(require 'gdb-mi)

(defun say (text &rest arguments)
  (princ (concat (apply #'format text arguments) "\n")))

(defun shown (what buffer)
  "Whether BUFFER comes to show WHAT."
  (let ((end (+ (float-time) 60)))
    (while (not (string-match-p what (with-current-buffer buffer (buffer-string))))
      (when (> (float-time) end) (say "%s is not in %s" what buffer) (kill-emacs 1))
      (accept-process-output nil 0.05))
    (with-current-buffer buffer (buffer-substring-no-properties (point-min) (point-max)))))

(defun type (command)
  (with-current-buffer gud-comint-buffer
    (goto-char (point-max))
    (insert command)
    (comint-send-input)))

(gdb (getenv "GDB_LINE"))
(shown "more: \"corebox why\"" gud-comint-buffer)
(let ((buffers '((gdb-stack-buffer . " main ") (gdb-threads-buffer . "LWP") (gdb-locals-buffer . "nothing"))))
  (dolist (each buffers) (gdb-get-buffer-create (car each)))
  (gdb-update)
  (dolist (each buffers)
    (say "%s:\n%s" (car each) (shown (cdr each) (gdb-get-buffer (car each))))))
(say "%s is in %s" gdb-selected-frame gdb-selected-file)
(type "print second->name")
(shown "= 0x.* \"one\"" gud-comint-buffer)
(gud-call "-exec-next")
(say "%s" (shown "not a running one" gud-comint-buffer))
(type "quit")
(let ((process (get-buffer-process gud-comint-buffer)))
  (while (process-live-p process) (accept-process-output nil 0.05))
  (say "ended %d" (process-exit-status process)))
(kill-emacs 0)
