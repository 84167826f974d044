;; Emacs with dape opens what corebox ide printed, and says what it shows. CONFIGURATION is the file with that.
(require 'dape)

(defun say (text &rest arguments)
  (princ (concat (apply #'format text arguments) "\n")))

(defun come (what condition)
  "Wait until CONDITION holds, and return what it found."
  (let ((end (+ (float-time) dape-request-timeout)) found)
    (while (not (setq found (funcall condition)))
      (when (> (float-time) end) (say "%s did not come" what) (kill-emacs 1))
      (accept-process-output nil 0.05))
    found))

(setq native-comp-enable-subr-trampolines nil)  ; without a compiler nobody may advise what is built in
(defvar messages "")
(advice-add 'message :before (lambda (text &rest arguments)
                               (when text (setq messages (concat messages (apply #'format text arguments) "\n")))))

(defun told (what)
  "The line with WHAT that dape has written, as a message or into its REPL."
  (come what (lambda ()
               (let ((all (concat messages (with-current-buffer "*dape-repl*" (buffer-string)))))
                 (and (string-match (concat "^.*" what ".*$") all) (substring-no-properties (match-string 0 all)))))))

(load (getenv "CONFIGURATION") nil t)
(dape (dape--config-eval 'corebox nil))
(let* ((conn (come "the crash" (lambda () (dape--live-connection 'stopped t))))
       (frame (come "a stack" (lambda () (dape--current-stack-frame conn)))))
  (say "%s" (string-trim (dape--exception-description conn)))
  (say "%d threads" (length (dape--threads conn)))
  (let ((place (come "a source" (lambda () (dape--object-to-marker conn frame)))))
    (with-current-buffer (marker-buffer place)
      (goto-char place)
      (say "%s at %s: %s" (plist-get frame :name) (buffer-name) (string-trim (thing-at-point 'line t)))))
  (dape-evaluate-expression conn "print first->key")
  (say "%s" (told "\\$1 = "))
  (dape-next conn)
  (say "%s" (told "not a running one")))
